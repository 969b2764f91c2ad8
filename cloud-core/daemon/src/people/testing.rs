//! A core with companies and people in it, and browsers to reach it with, for tests of any domain.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use cloud_logic::ids::{CompanyId, DeviceId, GrantId, IntegrationId, ProjectId, SiteId, UserId};
use cloud_logic::rights::{Grant, Period, Role, Scope, Withheld};
use http_body_util::BodyExt;
use serde_json::Value;
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::grants::{self, Held};
use super::users::{self, Account};
use super::{Peer, People, Site, sessions};
use crate::api::{self, PerSecond, Tally};
use crate::blobs::Blobs;
use crate::core::{Core, NewId};
use crate::devices::commands::take_orders;
use crate::keys::testing::{TestKeys, keys};
use crate::store::{Store, query};

pub(crate) const ORIGIN: &str = "https://core.example.com";
pub(crate) const PASSWORD: &str = "seven words are enough here";

/// A core and its interface.
pub(crate) struct World {
    pub(crate) core: Core,
    router: Router,
    /// The hash of `PASSWORD`, made once.
    hash: String,
    _keys: TestKeys,
}

/// A company with two projects of one site each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) company: CompanyId,
    pub(crate) project: ProjectId,
    pub(crate) site: SiteId,
    pub(crate) other_project: ProjectId,
    pub(crate) other_site: SiteId,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// Somebody's browser.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    pub(crate) cookie: Option<String>,
    /// Headers that are sent with each request.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the answer is JSON")
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// The code of a problem.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The cookie pair that the answer sets.
    pub(crate) fn cookie(&self) -> Option<String> {
        let set = self.headers.get(header::SET_COOKIE)?.to_str().ok()?;
        set.split(';').next().map(str::to_owned)
    }

    pub(crate) fn etag(&self) -> String {
        let tag = self.headers.get(header::ETAG);
        tag.and_then(|tag| tag.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    }
}

/// The domain as it is configured for tests.
pub(crate) fn people() -> People {
    People::new(Site {
        origin: ORIGIN.to_owned(),
        name: "Antiphon".to_owned(),
    })
}

/// Limits that no test reaches by chance.
pub(crate) fn tally() -> Tally {
    Tally::new(PerSecond {
        address: 100_000,
        caller: 100_000,
    })
}

impl World {
    pub(crate) async fn new(store: Store) -> Self {
        Self::with(store, crate::mail::Mail::default(), tally()).await
    }

    /// One whose letters leave.
    pub(crate) async fn with_mail(store: Store, mail: crate::mail::Mail) -> Self {
        Self::with(store, mail, tally()).await
    }

    /// One whose limits are reached.
    pub(crate) async fn limited(store: Store, per_second: PerSecond) -> Self {
        Self::with(store, crate::mail::Mail::default(), Tally::new(per_second)).await
    }

    async fn with(store: Store, mail: crate::mail::Mail, tally: Tally) -> Self {
        let keys = keys(&store).await;
        let core = Core {
            store,
            clock: keys.clock.clone(),
            keys: keys.keys.clone(),
            people: people(),
            blobs: Blobs::in_memory(),
            mail,
            orders: Default::default(),
            tally,
            forgotten: Default::default(),
            subscriptions: cloud_logic::subscriptions::Checking::Off,
            streams: crate::core::streams(),
            web_calls: None,
        };
        tokio::spawn(take_orders(core.clone(), CancellationToken::new()));
        let hash = core
            .people
            .passwords()
            .hash(PASSWORD)
            .await
            .expect("a hash");
        Self {
            router: api::api(core.clone()),
            core,
            hash,
            _keys: keys,
        }
    }

    /// From now on what is begun asks for subscriptions.
    pub(crate) fn check_subscriptions(&mut self) {
        self.core.subscriptions = cloud_logic::subscriptions::Checking::Checked;
        self.core.orders = Default::default();
        tokio::spawn(take_orders(self.core.clone(), CancellationToken::new()));
        self.router = api::api(self.core.clone());
    }

    pub(crate) async fn company(&self, name: &str) -> Place {
        let now = self.core.now();
        let place = Place {
            company: CompanyId::new_at(now),
            project: ProjectId::new_at(now),
            site: SiteId::new_at(now),
            other_project: ProjectId::new_at(now),
            other_site: SiteId::new_at(now),
        };
        let mut tx = self.core.store.write().await.expect("a transaction");
        tx.execute(
            query(
                "INSERT INTO company (id, name, name_key, language, time_zone, call_data_days,
                                      version, created)
                 VALUES ($1, $2, $2, 'en', 'Europe/Vienna', 180, 1, $3)",
            )
            .bind(place.company)
            .bind(name)
            .bind(now),
        )
        .await
        .expect("a company");
        for (project, site) in [
            (place.project, place.site),
            (place.other_project, place.other_site),
        ] {
            tx.execute(
                query(
                    "INSERT INTO project (id, company_id, name, name_key, metadata, version, created)
                     VALUES ($1, $2, $1, $1, '{}', 1, $3)",
                )
                .bind(project)
                .bind(place.company)
                .bind(now),
            )
            .await
            .expect("a project");
            tx.execute(
                query(
                    "INSERT INTO site (id, company_id, project_id, name, name_key, time_zone, address,
                                       metadata, version, created)
                     VALUES ($1, $2, $3, $1, $1, 'Europe/Vienna', '', '{}', 1, $4)",
                )
                .bind(site)
                .bind(place.company)
                .bind(project)
                .bind(now),
            )
            .await
            .expect("a site");
        }
        tx.commit().await.expect("committed");
        place
    }

    /// A person of a company, without rights, with `PASSWORD`.
    pub(crate) async fn person(&self, company: CompanyId, mail: &str) -> UserId {
        let now = self.core.now();
        let account = Account {
            id: UserId::new_at(now),
            company,
            mail: mail.to_owned(),
            name: mail.split('@').next().unwrap_or(mail).to_owned(),
            language: "en".to_owned(),
            password: Some(self.hash.clone()),
            blocked: false,
            version: 1,
            created: now,
        };
        let mut tx = self.core.store.write().await.expect("a transaction");
        users::insert(&mut tx, &account).await.expect("an account");
        tx.commit().await.expect("committed");
        account.id
    }

    /// Gives a right without asking who may.
    pub(crate) async fn grant(&self, user: UserId, role: Role, scope: Scope) -> GrantId {
        let now = self.core.now();
        let held = Held {
            grant: Grant {
                id: GrantId::new_at(now),
                role,
                scope,
                period: Period::without_end(now),
                withheld: Withheld::NOTHING,
            },
            holder: user.to_string(),
            reason: String::new(),
            granted_by: "cli".to_owned(),
            created: now,
        };
        let mut tx = self.core.store.write().await.expect("a transaction");
        grants::insert(&mut tx, &held).await.expect("a grant");
        tx.commit().await.expect("committed");
        held.grant.id
    }

    /// Somebody with a role, signed in.
    pub(crate) async fn somebody(&self, role: Role, scope: Scope, mail: &str) -> (UserId, Browser) {
        let user = self.person(scope.company(), mail).await;
        self.grant(user, role, scope).await;
        (user, self.sign_in(mail).await)
    }

    /// A device at the first site.
    pub(crate) async fn device(&self, place: Place) -> DeviceId {
        let id = DeviceId::new_at(self.core.now());
        let mut tx = self.core.store.write().await.expect("a transaction");
        tx.execute(
            query(
                "INSERT INTO device (id, company_id, project_id, site_id, version, created)
                 VALUES ($1, $2, $3, $4, 1, 1)",
            )
            .bind(id)
            .bind(place.company)
            .bind(place.project)
            .bind(place.site),
        )
        .await
        .expect("a device");
        tx.commit().await.expect("committed");
        id
    }

    /// An integration without rights.
    pub(crate) async fn integration(&self, company: CompanyId) -> IntegrationId {
        let id = IntegrationId::new_at(self.core.now());
        let mut tx = self.core.store.write().await.expect("a transaction");
        tx.execute(
            query(
                "INSERT INTO integration (id, company_id, name, name_key, secret_hash, created,
                                          version)
                 VALUES ($1, $2, $1, $1, $3, 0, 1)",
            )
            .bind(id)
            .bind(company)
            .bind(vec![0; 32]),
        )
        .await
        .expect("an integration");
        tx.commit().await.expect("committed");
        id
    }

    /// As [`Self::somebody`], without the time that a password takes.
    pub(crate) async fn holder(&self, role: Role, scope: Scope, mail: &str) -> Browser {
        let user = self.person(scope.company(), mail).await;
        self.grant(user, role, scope).await;
        let mut tx = self.core.store.write().await.expect("a transaction");
        let (patience, now) = (self.core.people.patience(), self.core.now());
        let (_, secret) = sessions::begin(&mut tx, user, patience, Peer(None), None, now)
            .await
            .expect("a session");
        tx.commit().await.expect("committed");
        Browser {
            cookie: Some(format!("__Host-sid={}", secret.text())),
            ..Self::ours()
        }
    }

    #[track_caller]
    pub(crate) fn ours() -> Browser {
        Browser {
            cookie: None,
            headers: vec![("sec-fetch-site", "same-origin".to_owned())],
        }
    }

    /// A browser that is signed in as the person with this mail address.
    pub(crate) async fn sign_in(&self, mail: &str) -> Browser {
        let mut browser = Self::ours();
        let body = serde_json::json!({ "mail": mail, "password": PASSWORD });
        let answer = self.post(&browser, "/api/v1/login", &body).await;
        answer.is(200);
        browser.cookie = answer.cookie();
        browser
    }

    pub(crate) async fn get(&self, browser: &Browser, path: &str) -> Answer {
        self.send(browser, Method::GET, path, None).await
    }

    pub(crate) async fn delete(&self, browser: &Browser, path: &str) -> Answer {
        self.send(browser, Method::DELETE, path, None).await
    }

    pub(crate) async fn post(&self, browser: &Browser, path: &str, body: &Value) -> Answer {
        self.send(browser, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, browser: &Browser, path: &str, body: &Value) -> Answer {
        self.send(browser, Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn send(
        &self,
        browser: &Browser,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = browser.request(method, path);
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.exchange(request.body(body).expect("a request")).await
    }

    /// Any request, whatever its body.
    pub(crate) async fn exchange(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.answer(request).await.into_parts();
        let octets = body.collect().await.expect("a whole body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&octets).into_owned(),
        }
    }

    /// A stream that goes on: its answer, whose body is still to be read.
    pub(crate) async fn open(&self, browser: &Browser, path: &str) -> Response {
        let request = browser.request(Method::GET, path);
        self.answer(request.body(Body::empty()).expect("a request"))
            .await
    }

    async fn answer(&self, mut request: Request<Body>) -> Response {
        let peer: SocketAddr = "192.0.2.7:50000".parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(peer));
        self.router
            .clone()
            .oneshot(request)
            .await
            .expect("never fails")
    }
}

impl Browser {
    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
    }
}
