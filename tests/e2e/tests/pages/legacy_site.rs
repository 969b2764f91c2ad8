//! The page of the legacy site: buttons that ring phones, doors, lines, a microphone; for everybody.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use e2e::baresip::{self, Answers};
use e2e::browser::{Colours, Microphone};
use e2e::house::{self, GATEWAY};
use e2e::legacy_site::LegacySite;
use e2e::{Baresip, Browser, Gateway, Site, at_site, gateway, not_run, sound};

/// The host of the site's server, and of the browser.
const SERVER: u8 = 40;
const LINE: u16 = 18480;
const PAGE: u16 = 18400;

const GATE: &str = "role=article[name='Gate East, door station']";
const LINE_OF_PAGE: &str = "css=.line";

/// A browser takes a core for itself.
static BROWSING: Mutex<()> = Mutex::new(());

/// A site with its page open, a gateway at its line, and the phone at the reception.
struct Works {
    browser: Browser,
    phone: Baresip,
    _legacy: LegacySite,
    _gateway: Gateway,
}

fn works(site: &Site, answers: Answers, microphone: bool) -> Result<Works> {
    let server = site.host(SERVER);
    let page = SocketAddr::new(server, PAGE);
    let line = format!("listen = \"{server}:{LINE}\"");
    let legacy = LegacySite::start_with_page(page, &line, site.folder())?;
    let setup = gateway::Setup::new(site.host(GATEWAY))
        .station("102", "kind = \"desk_station\"\n")
        .directory(
            "[[stations]]\nnumber = \"2101\"\nname = \"Gate East\"\nkind = \"door_station\"\n\
             behind = \"works\"\n\
             [[stations.doors]]\nkey = \"gate\"\noutput = 1\ncode = \"#1\"\nstation_confirms = true\n",
        )
        .more(&format!(
            "[[line]]\nname = \"works\"\nkind = \"LAN\"\ndriver = \"versicle\"\nsystem = 1\n\
             own_system = 2\nauthority = \"a token of these tests\"\n\
             tcp = {{ connect = \"{server}:{LINE}\", plain = true }}\n"
        ));
    let gateway = Gateway::start(&setup, site.folder())?;
    let phone = baresip::Setup {
        codecs: "G722/16000/1",
        answers,
        ..house::baresip(site, &gateway, "102")
    };
    let phone = Baresip::start(&phone, site.folder())?;
    let url = format!("http://{page}");
    let says = site.folder().join("microphone.wav");
    sound::tone(&says, 48_000, 60, 440)?;
    let microphone = microphone.then_some(Microphone {
        says: &says,
        page: &url,
    });
    let mut browser = Browser::start(server, site.folder(), microphone)?;
    browser.open(&url)?;
    browser.read(LINE_OF_PAGE, "up")?;
    Ok(Works {
        browser,
        phone,
        _legacy: legacy,
        _gateway: gateway,
    })
}

fn at_works(answers: Answers, microphone: bool, story: impl FnOnce(&mut Works) -> Result<()>) {
    if let Some(why) = Browser::missing() {
        return not_run::note("Chromium", &why);
    }
    // One that failed has said so itself.
    let _one = BROWSING.lock().unwrap_or_else(PoisonError::into_inner);
    at_site(|site| {
        let mut works = works(site, answers, microphone)?;
        story(&mut works)?;
        works.browser.must_be_sound()
    });
}

/// Something of the gate.
fn gate(part: &str) -> String {
    format!("{GATE} >> {part}")
}

fn button(name: &str) -> String {
    gate(&format!("role=button[name='{name}']"))
}

#[test]
fn b9_a_button_on_the_page_rings_a_phone_and_lamp_and_display_follow() {
    at_works(Answers::WhenTold, false, |works| {
        let Works { browser, phone, .. } = works;
        browser.see(&gate("css=.lamp.idle"))?;
        browser.click(&button("Reception"))?;
        phone.event("CALL_INCOMING")?;
        browser.see(&gate("css=.lamp.busy"))?;
        browser.read(&gate("css=.display"), "calling 2/102")?;
        phone.answer()?;
        browser.read(&gate("css=.display"), "talking with 2/102")?;
        phone.hang_up()?;
        browser.read(&gate("css=.display"), "ready")?;
        browser.see(&gate("css=.lamp.idle"))
    });
}

#[test]
fn b9_doors_open_from_the_page_and_by_the_phone_and_are_seen_to_open_and_close() {
    at_works(Answers::ByItself, false, |works| {
        let Works { browser, phone, .. } = works;
        let door = gate("css=.door >> nth=0");
        browser.click(&format!("{door} >> role=button[name='Open']"))?;
        browser.read(&door, "Gate: open, buzzing")?;
        browser.see(&format!("{door} >> css=.leaf.open.buzz"))?;
        browser.read(&door, "Gate: closed")?;
        browser.click(&button("Reception"))?;
        browser.read(&gate("css=.display"), "talking with 2/102")?;
        phone.digit('#')?;
        phone.digit('1')?;
        browser.read(&door, "Gate: open, buzzing")
    });
}

#[test]
fn b9_a_line_that_is_cut_on_the_page_is_seen_to_be_and_mends() {
    at_works(Answers::WhenTold, false, |works| {
        let Works { browser, phone, .. } = works;
        let cut = "role=button[name='Cut line gateway']";
        browser.choose("role=combobox", "everything")?;
        browser.click(cut)?;
        browser.read(LINE_OF_PAGE, "down, cable cut")?;
        browser.click(&button("Reception"))?;
        browser.read(&gate("css=.display"), "waits for the line")?;
        browser.see(&gate("css=.lamp.requesting"))?;
        browser.click(cut)?;
        // The gateway comes back by itself, and what was pressed is heard.
        phone.event("CALL_INCOMING")?;
        browser.see("css=.line .lamp.up")
    });
}

/// The browser's microphone is a tone from a file.
#[test]
fn b9_who_stands_at_the_station_is_heard_at_the_phone() {
    at_works(Answers::ByItself, true, |works| {
        let Works { browser, phone, .. } = works;
        browser.click(&button("Stand here"))?;
        browser.see(&button("Step away"))?;
        browser.click(&button("Reception"))?;
        browser.read(&gate("css=.display"), "talking with 2/102")?;
        phone.wait_until_heard(3.0)?;
        browser.click(&button("End"))?;
        browser.read(&gate("css=.display"), "ready")?;
        sound::measure(&phone.heard()?, 0.5)?.must_be_tone(440.0, 0.8)
    });
}

#[test]
fn the_page_keeps_nobody_from_using_it_light_or_dark_wide_or_narrow() {
    at_works(Answers::ByItself, false, |works| {
        let browser = &mut works.browser;
        browser.click(&button("Reception"))?;
        browser.read(&gate("css=.display"), "talking with 2/102")?;
        browser.click(&gate("css=summary"))?;
        for (colours, name) in [(Colours::Light, "light"), (Colours::Dark, "dark")] {
            for (width, kind) in [(1440, "wide"), (360, "narrow")] {
                browser.look(colours, width, 900)?;
                browser.must_be_accessible()?;
                browser.picture(&format!("legacy-site-{name}-{kind}"))?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_call_is_made_and_ended_without_a_mouse() {
    at_works(Answers::ByItself, false, |works| {
        let browser = &mut works.browser;
        browser.tab_to(&button("Reception"))?;
        browser.key("Enter")?;
        browser.read(&gate("css=.display"), "talking with 2/102")?;
        browser.tab_to(&button("End"))?;
        browser.key("Space")?;
        browser.read(&gate("css=.display"), "ready")
    });
}
