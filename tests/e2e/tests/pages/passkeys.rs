//! Passkeys in a real browser, with its own authenticator.

use anyhow::{Result, ensure};
use e2e::{Browser, Cloud, Site, at_site, cloud, not_run};

/// The host of the core and of the browser.
const HOST: u8 = 41;

/// What the portal's pages will do, in few words.
const PORTAL: &str = r#"
globalThis.send = async (method, path, body) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const answer = await fetch(`/api/v1/${path}`, { method, headers, body: JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
};
globalThis.must = async (status, method, path, body) => {
    const answer = await send(method, path, body);
    if (answer.status !== status) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
};
globalThis.create = async (name) => {
    const { ceremony, public_key } = await must(200, "POST", "me/passkeys/begin");
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(public_key);
    const credential = (await navigator.credentials.create({ publicKey })).toJSON();
    return { ceremony, name, credential };
};
globalThis.get = async (path) => {
    const { ceremony, public_key } = await must(200, "POST", `${path}/begin`);
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(public_key);
    const credential = (await navigator.credentials.get({ publicKey })).toJSON();
    return { ceremony, credential };
};
"#;

struct Portal {
    browser: Browser,
    cloud: Cloud,
}

fn portal(site: &Site) -> Result<Portal> {
    let host = site.host(HOST);
    let cloud = Cloud::start(host, site.folder())?;
    let mut browser = Browser::start(host, site.folder(), None)?;
    browser.open(&format!("{}/api/v1/openapi.json", cloud.url))?;
    browser.authenticator(true)?;
    browser.run(PORTAL)?;
    let login = serde_json::json!({ "mail": cloud::OWNER, "password": cloud.password });
    browser.run(&format!("must(200, 'POST', 'login', {login})"))?;
    Ok(Portal { browser, cloud })
}

fn at_portal(story: impl FnOnce(&mut Portal) -> Result<()>) {
    if let Some(why) = Browser::missing() {
        return not_run::note("Chromium", &why);
    }
    at_site(|site| {
        let mut portal = portal(site)?;
        story(&mut portal)?;
        ensure!(portal.cloud.program().runs()?, "the core ended");
        portal.cloud.program().end()
    });
}

#[test]
fn s1_a_browser_adds_a_passkey_signs_in_with_it_and_shows_it_once_more() {
    at_portal(|portal| {
        let browser = &mut portal.browser;
        browser.run("create('Laptop').then((made) => must(201, 'POST', 'me/passkeys', made))")?;
        browser.run("must(204, 'POST', 'logout', {})")?;
        browser.run("must(401, 'GET', 'me')")?;
        browser.run(
            "get('login/passkey')
                .then((shown) => { globalThis.shown = shown; return must(200, 'POST', 'login/passkey', shown); })
                .then((me) => { if (me.mail !== 'owner@example.com') throw new Error(me.mail); })",
        )?;
        browser.run("must(200, 'GET', 'me')")?;
        browser.run("must(401, 'POST', 'login/passkey', shown)")?;
        browser.run(
            "get('me/proof/passkey').then((shown) => must(204, 'POST', 'me/proof/passkey', shown))",
        )?;
        // The same authenticator is not taken twice: the browser itself says so.
        browser.run(
            "create('Again').then(() => { throw new Error('taken twice'); },
                (error) => { if (error.name !== 'InvalidStateError') throw error; })",
        )
    });
}

#[test]
fn s1_a_finger_that_the_reader_does_not_know_signs_nobody_in() {
    at_portal(|portal| {
        let browser = &mut portal.browser;
        browser.run("create('Laptop').then((made) => must(201, 'POST', 'me/passkeys', made))")?;
        browser.authenticator(false)?;
        let refused = "() => { throw new Error('verified nobody'); },
            (error) => { if (error.name !== 'NotAllowedError') throw error; }";
        browser.run(&format!("get('login/passkey').then({refused})"))?;
        browser.run(&format!("get('me/proof/passkey').then({refused})"))
    });
}
