use super::*;

const LEAST: &str = "folder = \"data\"\nurl = \"https://core.example.com\"\n";

fn loaded(text: &str) -> Result<Settings, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("core.toml");
    std::fs::write(&file, text).unwrap();
    load(&file)
}

/// The least configuration with `more` behind it has exactly this one mistake.
#[track_caller]
fn one_complaint(more: &str, path: &str, what: &str) {
    let errors = loaded(&format!("{LEAST}{more}")).expect_err("a mistake");
    let [only] = errors.0.as_slice() else {
        panic!("expected one complaint, got {errors}");
    };
    assert_eq!(only.path, path);
    assert!(only.what.contains(what), "{}", only.what);
    assert!(!only.remedy.is_empty());
}

#[test]
fn the_least_configuration_is_a_folder_and_a_name_and_needs_no_server() {
    let settings = loaded(LEAST).unwrap();
    assert_eq!(settings.host, "core.example.com");
    assert!(settings.listen.api_speaks_tls);
    assert!(matches!(settings.store, Place::File(file) if file.ends_with("data/core.db")));
    assert!(settings.mail.is_none());
}

#[test]
fn one_line_makes_it_postgresql() {
    let settings = loaded(&format!(
        "{LEAST}[store]\npostgres = \"postgres://a@b/c\"\n"
    ))
    .unwrap();
    assert!(matches!(settings.store, Place::Server(_)));
    assert!(!format!("{settings:?}").contains("a@b"));
}

#[test]
fn what_would_be_unsafe_is_refused_g2() {
    one_complaint(
        "[listen]\napi_tls = \"off\"\n",
        "listen.api_tls",
        "readable",
    );
    one_complaint(
        "[listen]\ndevices_plain = \"0.0.0.0:1883\"\n",
        "listen.devices_plain",
        "any device",
    );
    one_complaint(
        "[mail]\nhost = \"mail.example.com\"\nfrom = \"a@example.com\"\nencryption = \"off\"\n",
        "mail.encryption",
        "readable",
    );
    one_complaint(
        "[store]\npostgres = \"postgres://a@b/c\"\npassword_file = \"/etc/passwd\"\n",
        "store.password_file",
        "others may read it",
    );
}

#[test]
fn proxies_are_addresses_and_nobody_is_believed_unless_named_g6() {
    assert!(loaded(LEAST).unwrap().listen.proxies.trusted.is_empty());
    let two = "[listen]\ntrusted_proxies = [\"10.0.0.0/8\", \"2001:db8::1\"]\n";
    let settings = loaded(&format!("{LEAST}{two}")).unwrap();
    assert_eq!(settings.listen.proxies.trusted.len(), 2);
    for wrong in ["proxy.example.com", "10.0.0.0/0", "0.0.0.0/33"] {
        let line = format!("[listen]\ntrusted_proxies = [\"{wrong}\"]\n");
        one_complaint(&line, "listen.trusted_proxies[0]", wrong);
    }
}

#[test]
fn a_place_that_is_none_is_named() {
    for url in [
        "core.example.com",
        "http://core.example.com",
        "https://",
        "https://a/b",
    ] {
        let text = format!("folder = \"data\"\nurl = \"{url}\"\n");
        let errors = loaded(&text).expect_err(url);
        assert_eq!(errors.0[0].path, "url", "{url}");
    }
    assert!(loaded("folder = \"data\"\nurl = \"http://localhost:8080\"\n").is_ok());
}

#[test]
fn the_reference_is_a_configuration() {
    let text = reference();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("core.toml");
    std::fs::write(&file, text).unwrap();
    if let Err(errors) = load(&file) {
        panic!("{errors}");
    }
}
