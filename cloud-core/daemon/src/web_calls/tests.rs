//! Pages by real sockets; the calls of their company are the test itself.

use std::net::SocketAddr;

use bytes::Bytes;
use calls::Alert;
use cloud_logic::ids::UserId;
use cloud_logic::rights::{Role, Scope};
use exchange::{WebCommand, WebEvent, WebParty, WebRing};
use futures_util::{SinkExt, StreamExt};
use model::{Address, CallNumber, CloudUserId, EarlyMedia, EndCause, Party, Pii, Priority};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::said::TEST_OFFER;
use super::*;
use crate::api;
use crate::calls::FromPage;
use crate::listener::{self, Speaks};
use crate::people::testing::{Browser, ORIGIN, Place, World};
use crate::store::Store;
use crate::store::testing::on_both;

const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\n\
a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:110 telephone-event/48000\r\n";

/// A core that serves, with a company whose calls are the test.
struct Works {
    world: World,
    place: Place,
    calls: WebCalls,
    at: SocketAddr,
    house: mpsc::Receiver<FromPage>,
    stop: CancellationToken,
}

impl Drop for Works {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn works(store: Store) -> Works {
    let mut world = World::new(store).await;
    let place = world.company("Clinics").await;
    let stop = CancellationToken::new();
    let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        places: vec![web_edge::Place {
            bind: local,
            told: local.ip(),
        }],
        stun: Vec::new(),
        most_legs: 100,
    };
    let (calls, attendant) = WebCalls::open(config, stop.clone()).unwrap();
    let (tell, house) = mpsc::channel(100);
    calls.join(tell);
    world.core.web_calls = Some(calls.clone());
    let listener = TcpListener::bind(local).await.unwrap();
    let at = listener.local_addr().unwrap();
    let app = api::api(world.core.clone());
    let figures = Default::default();
    tokio::spawn(listener::serve(
        listener,
        Speaks::Plain,
        app,
        figures,
        stop.clone(),
    ));
    tokio::spawn(attendant.run(stop.clone()));
    Works {
        world,
        place,
        calls,
        at,
        house,
        stop,
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Works {
    async fn operator(&self, mail: &str) -> (UserId, Browser) {
        let scope = Scope::Company(self.place.company);
        self.world.somebody(Role::WebClient, scope, mail).await
    }

    async fn connect(&self, browser: &Browser, origin: &str) -> Result<Socket, Error> {
        let url = format!("ws://{}/api/v1/calls/socket", self.at);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
        if let Some(cookie) = &browser.cookie {
            headers.insert("cookie", cookie.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| socket)
    }

    /// A page that has said hello, as the tab it was or a new one.
    async fn page(&self, browser: &Browser, tab: Option<&str>) -> (TestPage, Value) {
        let socket = self.connect(browser, ORIGIN).await.unwrap();
        let mut page = TestPage(socket);
        page.say(json!({"kind": "hello", "version": 1, "tab": tab}))
            .await;
        let welcome = page.hear("welcome").await;
        (page, welcome)
    }

    async fn ring(&self, user: UserId, party: WebParty) {
        let ring = WebRing {
            user: CloudUserId::new(user.bits()),
            caller: Party {
                station: None,
                address: Some(Address::Local(CallNumber::parse("2101").unwrap())),
                name: Pii::new("Gate East".to_owned()),
            },
            dialled: None,
            alert: Alert::Ring,
            priority: Priority::new(70).unwrap(),
            offer: Bytes::from_static(TEST_OFFER),
            early_media: EarlyMedia::Off,
        };
        self.command(party, WebCommand::Ring(Box::new(ring)));
    }

    fn command(&self, party: WebParty, command: WebCommand) {
        let told = (self.place.company, party, command);
        self.calls.commands().try_send(told).unwrap();
    }

    async fn heard(&mut self) -> (WebParty, WebEvent) {
        let (company, party, event) = self.house.recv().await.unwrap();
        assert_eq!(company, self.place.company);
        (party, event)
    }
}

struct TestPage(Socket);

impl TestPage {
    async fn say(&mut self, message: Value) {
        let text = message.to_string();
        self.0.send(Message::Text(text.into())).await.unwrap();
    }

    /// The next message, which is of this kind.
    async fn hear(&mut self, kind: &str) -> Value {
        loop {
            if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                let value: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["kind"], kind, "{value}");
                return value;
            }
        }
    }

    async fn trouble(&mut self, message: Value) -> String {
        self.say(message).await;
        self.hear("error").await["code"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

fn status(refused: Result<Socket, Error>) -> u16 {
    match refused {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

const PARTY: WebParty = WebParty::Caller(7_000_000);

#[tokio::test]
async fn s1_only_pages_of_ours_with_somebody_who_may_are_let_in() {
    on_both(async |store| {
        let works = works(store).await;
        let nobody = Browser::default();
        assert_eq!(status(works.connect(&nobody, ORIGIN).await), 401);
        let (_, anna) = works.operator("anna@example.com").await;
        for foreign in ["https://evil.example", "null", "http://core.example.com"] {
            assert_eq!(
                status(works.connect(&anna, foreign).await),
                403,
                "{foreign}"
            );
        }
        let scope = Scope::Company(works.place.company);
        let (_, reader) = works
            .world
            .somebody(Role::Configurator, scope, "t@example.com")
            .await;
        assert_eq!(status(works.connect(&reader, ORIGIN).await), 403);
        works.page(&anna, None).await;
    })
    .await;
}

#[tokio::test]
async fn w3_what_is_not_understood_is_answered_and_the_page_stays() {
    on_both(async |store| {
        let works = works(store).await;
        let (_, anna) = works.operator("anna@example.com").await;
        let mut page = TestPage(works.connect(&anna, ORIGIN).await.unwrap());
        assert_eq!(page.trouble(json!({"kind": "test"})).await, "say_hello");
        assert_eq!(
            page.trouble(json!({"kind": "hello", "version": 0})).await,
            "version"
        );
        page.say(json!({"kind": "hello", "version": 1})).await;
        page.hear("welcome").await;
        for (message, code) in [
            (json!({"kind": "hello", "version": 1}), "already_here"),
            (json!({"kind": "dance"}), "unknown_kind"),
            (json!([]), "unknown_kind"),
            (json!({"kind": "take", "call": "none"}), "not_ringing"),
            (json!({"kind": "hangup", "call": "none"}), "no_call"),
            (
                json!({"kind": "hold", "call": "none", "held": true}),
                "no_call",
            ),
            (
                json!({"kind": "dtmf", "call": "none", "digits": "x"}),
                "no_digits",
            ),
            (
                json!({"kind": "invite", "call": "a", "to": "echo", "offer": "\u{0}"}),
                "not_possible",
            ),
            (
                json!({"kind": "invite", "call": "a", "to": "'; DROP", "offer": OFFER}),
                "no_number",
            ),
            (
                json!({"kind": "negotiate", "call": "none", "offer": OFFER}),
                "no_call",
            ),
            (json!({"kind": "transfer", "call": "none"}), "malformed"),
        ] {
            assert_eq!(page.trouble(message.clone()).await, code, "{message}");
        }
        // A candidate that crosses the end of its call is no mistake.
        page.say(json!({"kind": "candidates", "call": "none", "candidates": ["x"]}))
            .await;
        assert_eq!(page.trouble(json!({"kind": "dance"})).await, "unknown_kind");
        for _ in 0..200 {
            page.say(json!({"kind": "dance"})).await;
        }
        let mut last = String::new();
        while let Some(Ok(Message::Text(text))) = page.0.next().await {
            last = text.to_string();
        }
        assert!(last.contains("too_fast"), "{last}");
    })
    .await;
}

#[tokio::test]
async fn w4_the_first_page_that_takes_a_call_has_it_and_the_others_are_told() {
    on_both(async |store| {
        let mut works = works(store).await;
        let (user, anna) = works.operator("anna@example.com").await;
        let (mut desk, _) = works.page(&anna, None).await;
        let (mut phone, _) = works.page(&anna, None).await;
        works.ring(user, PARTY).await;
        assert_eq!(works.heard().await, (PARTY, WebEvent::Ringing));
        let at_desk = desk.hear("invite").await;
        let at_phone = phone.hear("invite").await;
        assert_eq!(
            at_desk["caller"],
            json!({"name": "Gate East", "number": "2101"})
        );
        assert_eq!(works.calls.edge().figures().legs(), 2);

        desk.say(json!({"kind": "take", "call": at_desk["call"]}))
            .await;
        desk.hear("select_answer").await;
        let lost = phone.hear("hangup").await;
        assert_eq!(lost["reason"], "answered_elsewhere");
        let late = json!({"kind": "take", "call": at_phone["call"]});
        assert_eq!(phone.trouble(late).await, "not_ringing");
        let (_, answered) = works.heard().await;
        assert!(
            matches!(answered, WebEvent::Answered { .. }),
            "{answered:?}"
        );

        desk.say(json!({"kind": "dtmf", "call": at_desk["call"], "digits": "#1"}))
            .await;
        for _ in 0..2 {
            assert!(matches!(works.heard().await.1, WebEvent::Digit(_)));
        }
        let cause = EndCause::TimeLimit;
        works.command(PARTY, WebCommand::End { cause });
        assert_eq!(desk.hear("hangup").await["reason"], "time_limit");
    })
    .await;
}

#[tokio::test]
async fn w4_a_call_that_one_page_rejects_rings_nowhere_any_more() {
    on_both(async |store| {
        let mut works = works(store).await;
        let (user, anna) = works.operator("anna@example.com").await;
        works.ring(user, PARTY).await;
        let cause = EndCause::Unreachable;
        assert_eq!(works.heard().await, (PARTY, WebEvent::Refused { cause }));
        let (mut desk, _) = works.page(&anna, None).await;
        let (mut phone, _) = works.page(&anna, None).await;
        works.ring(user, PARTY).await;
        works.heard().await;
        let call = desk.hear("invite").await["call"].clone();
        phone.hear("invite").await;
        desk.say(json!({"kind": "reject", "call": call})).await;
        assert_eq!(phone.hear("hangup").await["reason"], "declined");
        let cause = EndCause::Declined;
        assert_eq!(works.heard().await, (PARTY, WebEvent::Refused { cause }));
    })
    .await;
}

#[tokio::test]
async fn w5_a_page_calls_and_is_connected_and_comes_back_to_its_call() {
    on_both(async |store| {
        let mut works = works(store).await;
        let (user, anna) = works.operator("anna@example.com").await;
        let (mut page, welcome) = works.page(&anna, None).await;
        page.say(json!({"kind": "invite", "call": "c-1", "to": "2101", "offer": OFFER}))
            .await;
        page.hear("answer").await;
        let (party, arrived) = works.heard().await;
        let WebEvent::Arrived(arrival) = arrived else {
            panic!("{arrived:?}");
        };
        assert_eq!(arrival.user, CloudUserId::new(user.bits()));
        assert_eq!(arrival.name.reveal(), "anna");
        let answer = arrival.offer;
        works.command(party, WebCommand::Accept { answer });
        page.hear("select_answer").await;

        let tab = welcome["tab"].as_str().unwrap();
        drop(page);
        let (mut page, welcome) = works.page(&anna, Some(tab)).await;
        assert_eq!(welcome["calls"], json!(["c-1"]));
        // Somebody else who knows the tab's name gets another tab.
        let (_, eve) = works.operator("eve@example.com").await;
        let (_, hers) = works.page(&eve, Some(tab)).await;
        assert_ne!(hers["tab"], tab);
        assert_eq!(hers["calls"], json!([]));

        page.say(json!({"kind": "hangup", "call": "c-1"})).await;
        let cause = EndCause::HungUp;
        assert_eq!(works.heard().await, (party, WebEvent::Ended { cause }));
    })
    .await;
}

#[tokio::test]
async fn w5_calls_of_a_page_that_stays_away_end() {
    on_both(async |store| {
        let mut works = works(store).await;
        let (_, anna) = works.operator("anna@example.com").await;
        let (mut page, welcome) = works.page(&anna, None).await;
        page.say(json!({"kind": "invite", "call": "c-1", "to": "2101", "offer": OFFER}))
            .await;
        page.hear("answer").await;
        let (party, _) = works.heard().await;
        drop(page);
        let tab = welcome["tab"].as_str().unwrap();
        let now = || tokio::time::Instant::now();
        while works.calls.hall().tab(tab).unwrap().away.is_none() {
            tokio::task::yield_now().await;
        }
        let gone = works.calls.hall().forget_away(now());
        assert_eq!(gone.len(), 1);
        works.calls.abandoned(&gone[0], EndCause::ConnectionLost);
        let cause = EndCause::ConnectionLost;
        assert_eq!(works.heard().await, (party, WebEvent::Ended { cause }));
        assert!(works.calls.hall().tab(tab).is_none());
    })
    .await;
}

#[tokio::test]
async fn w1_test_calls_need_nobody() {
    on_both(async |store| {
        let works = works(store).await;
        let (_, anna) = works.operator("anna@example.com").await;
        let (mut page, _) = works.page(&anna, None).await;
        page.say(json!({"kind": "invite", "call": "c-1", "to": "echo", "offer": OFFER}))
            .await;
        page.hear("answer").await;
        page.hear("select_answer").await;
        page.say(json!({"kind": "test"})).await;
        let call = page.hear("invite").await["call"].clone();
        page.say(json!({"kind": "take", "call": call})).await;
        page.hear("select_answer").await;
        // A page has only so many calls.
        for at in 2..hall::CALLS_OF_ONE {
            let name = format!("c-{at}");
            page.say(json!({"kind": "invite", "call": name, "to": "echo", "offer": OFFER}))
                .await;
            page.hear("answer").await;
            page.hear("select_answer").await;
        }
        let more = json!({"kind": "invite", "call": "more", "to": "echo", "offer": OFFER});
        assert_eq!(page.trouble(more).await, "too_many_calls");
        let same = json!({"kind": "invite", "call": "c-1", "to": "echo", "offer": OFFER});
        assert_eq!(page.trouble(same).await, "name_taken");
    })
    .await;
}
