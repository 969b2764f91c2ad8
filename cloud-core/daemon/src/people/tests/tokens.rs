//! Tokens, and every trick that must not make one.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud_logic::rights::{Role, Scope};
use hmac::{Hmac, Mac};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use serde_json::{Value, json};
use sha2::Sha256;

use super::super::testing::{Browser, World};
use super::super::tokens::tend;
use crate::store::testing::on_both;

const ME: &str = "/api/v1/me";
const JWKS: &str = "/.well-known/jwks.json";

fn bearing(token: &str) -> Browser {
    Browser {
        cookie: None,
        headers: vec![("authorization", format!("Bearer {token}"))],
    }
}

async fn token(world: &World, browser: &Browser, audience: &str) -> String {
    let wish = json!({ "audience": audience });
    let answer = world.post(browser, "/api/v1/token", &wish).await;
    assert_eq!(answer.is(200).headers["cache-control"], "no-store");
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn viewer(world: &World) -> Browser {
    let place = world.company("Acme").await;
    world
        .holder(
            Role::Viewer,
            Scope::Company(place.company),
            "anna@example.com",
        )
        .await
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn parts(token: &str) -> (Value, Value, String) {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("three parts: {token}");
    };
    (decode(header), decode(claims), signature.to_owned())
}

#[tokio::test]
async fn u4_a_token_is_verified_by_anybody_with_the_published_keys() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = viewer(&world).await;
        let token = token(&world, &browser, "signalling").await;
        let (header, claims, signature) = parts(&token);
        assert_eq!(header["alg"], "ES256");
        assert_eq!(claims["aud"], "signalling");
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            300
        );
        // ring stands in for a service of somebody else.
        let keys = world.get(&Browser::default(), JWKS).await;
        let keys = keys.is(200).json();
        let key = keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["kid"] == header["kid"]);
        let key = key.unwrap();
        let octets = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let point = [vec![4], octets("x"), octets("y")].concat();
        let signed = token.rsplit_once('.').unwrap().0;
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed.as_bytes(), &signature)
            .expect("the signature fits the published key");
        assert!(key.get("d").is_none(), "no private half");
    })
    .await;
}

#[tokio::test]
async fn u4_a_token_ends_by_time_and_with_its_session() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = viewer(&world).await;
        let first = bearing(&token(&world, &browser, "api").await);
        world.get(&first, ME).await.is(200);
        world.core.clock.advance(Duration::from_secs(301));
        world.get(&first, ME).await.is(401);
        let second = bearing(&token(&world, &browser, "api").await);
        world.get(&second, ME).await.is(200);
        let another = world
            .post(&second, "/api/v1/token", &json!({ "audience": "api" }))
            .await;
        assert_eq!(another.is(403).code(), "not_allowed");
        world
            .post(&browser, "/api/v1/logout", &json!({}))
            .await
            .is(204);
        world.get(&second, ME).await.is(401);
    })
    .await;
}

#[tokio::test]
async fn u4_no_trick_makes_a_token() {
    on_both(async |store| {
        let world = World::new(store).await;
        let browser = viewer(&world).await;
        let good = token(&world, &browser, "api").await;
        world.get(&bearing(&good), ME).await.is(200);
        let (header, claims, signature) = parts(&good);
        let claims_text = good.split('.').nth(1).unwrap();
        let mut tricks: Vec<(&str, String)> = Vec::new();

        for (name, alg) in [("none", "none"), ("None", "None"), ("nONE", "nONE")] {
            let mut header = header.clone();
            header["alg"] = json!(alg);
            tricks.push((name, format!("{}.{claims_text}.", encode(&header))));
            tricks.push((
                name,
                format!("{}.{claims_text}.{signature}", encode(&header)),
            ));
        }

        // The public key as the secret of an HMAC (RFC 8725 2.1).
        let keys = world.get(&browser, JWKS).await.json();
        let key = &keys["keys"][0];
        let mut hmac_header = header.clone();
        hmac_header["alg"] = json!("HS256");
        let signed = format!("{}.{claims_text}", encode(&hmac_header));
        let point = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        for secret in [
            key.to_string().into_bytes(),
            key["x"].as_str().unwrap().as_bytes().to_vec(),
            [vec![4], point("x"), point("y")].concat(),
            Vec::new(),
        ] {
            let mut hmac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
            hmac.update(signed.as_bytes());
            let mac = URL_SAFE_NO_PAD.encode(hmac.finalize().into_bytes());
            tricks.push(("HS256 with the public key", format!("{signed}.{mac}")));
        }

        // A key of one's own, named in the header, embedded in it, or under our key's name.
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let own = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let sign = |header: &Value, claims: &Value| {
            let signed = format!("{}.{}", encode(header), encode(claims));
            let signature = own.sign(&random, signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        let public = own.public_key().as_ref().to_vec();
        let jwk = json!({
            "kty": "EC", "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(&public[1..33]),
            "y": URL_SAFE_NO_PAD.encode(&public[33..]),
        });
        let with = |field: &str, value: Value| {
            let mut header = header.clone();
            header[field] = value;
            header
        };
        tricks.push(("a key of one's own", sign(&header, &claims)));
        tricks.push(("its key inside", sign(&with("jwk", jwk), &claims)));
        let url = json!("https://evil.example/jwks.json");
        tricks.push(("its keys elsewhere", sign(&with("jku", url), &claims)));
        for kid in [
            json!("../../../../dev/null"),
            json!("' UNION SELECT 'x' --"),
            json!("tk-00000000000000000000000000"),
            json!(""),
            json!(null),
        ] {
            tricks.push(("another kid", sign(&with("kid", kid), &claims)));
        }

        // Ours, changed.
        let mut owner = claims.clone();
        owner["exp"] = json!(claims["exp"].as_i64().unwrap() + 3600);
        let header_text = good.split('.').next().unwrap();
        tricks.push((
            "other claims",
            format!("{header_text}.{}.{signature}", encode(&owner)),
        ));
        tricks.push(("no signature", format!("{header_text}.{claims_text}.")));
        tricks.push(("a zero signature", {
            let zero = URL_SAFE_NO_PAD.encode([0; 64]);
            format!("{header_text}.{claims_text}.{zero}")
        }));
        tricks.push(("a long one", format!("{good}{}", "A".repeat(10_000))));
        tricks.push(("two", format!("{good}.{good}")));
        for (name, token) in tricks {
            let answer = world.get(&bearing(&token), ME).await;
            assert_eq!(answer.status.as_u16(), 401, "{name}: {}", answer.text);
            // With a good cookie beside it, it is still refused.
            let mut both = bearing(&token);
            both.cookie.clone_from(&browser.cookie);
            let answer = world.get(&both, ME).await;
            assert_eq!(answer.status.as_u16(), 401, "{name} beside a cookie");
        }
        for audience in ["signalling", "media", "devices"] {
            let other = token(&world, &browser, audience).await;
            world.get(&bearing(&other), ME).await.is(401);
        }
    })
    .await;
}

#[tokio::test]
async fn u4_keys_change_without_a_token_or_a_verifier_being_left_behind() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        world.person(place.company, "anna@example.com").await;
        let day = Duration::from_secs(24 * 3600);
        let mut used = std::collections::BTreeSet::new();
        let mut shown_before = Vec::new();
        for _ in 0..70 {
            tend(&world.core).await.unwrap();
            let browser = world.sign_in("anna@example.com").await;
            let token = token(&world, &browser, "api").await;
            world.get(&bearing(&token), ME).await.is(200);
            let kid = parts(&token).0["kid"].as_str().unwrap().to_owned();
            let keys = world.get(&browser, JWKS).await.json();
            let shown: Vec<String> = keys["keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key["kid"].as_str().unwrap().to_owned())
                .collect();
            assert!(shown.contains(&kid));
            let new = used.insert(kid.clone());
            let first = shown_before.is_empty();
            assert!(
                !new || first || shown_before.contains(&kid),
                "shown a day before it signs"
            );
            assert!(shown.len() <= 3, "{shown:?}");
            shown_before = shown;
            world.core.clock.advance(day);
        }
        assert_eq!(used.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn u4_an_integration_works_with_its_secret_until_it_gets_another() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("Acme").await;
        let scope = Scope::Company(place.company);
        let admin = world.holder(Role::Admin, scope, "admin@example.com").await;
        let path = format!("/api/v1/companies/{}/integrations", place.company);
        let body = json!({ "name": "Building control", "grant": { "role": "viewer" } });
        let made = world.post(&admin, &path, &body).await;
        let made = made.is(201).json();
        world.post(&admin, &path, &body).await.is(409);
        let too_much = json!({ "name": "Other", "grant": { "role": "owner" } });
        world.post(&admin, &path, &too_much).await.is(403);

        let id = made["id"].as_str().unwrap();
        let ask = async |secret: &Value| {
            let wish = json!({ "integration": id, "secret": secret, "audience": "api" });
            world
                .post(&Browser::default(), "/api/v1/token/integration", &wish)
                .await
        };
        ask(&json!("A".repeat(43))).await.is(401);
        let answer = ask(&made["secret"]).await.is(200).json();
        let program = bearing(answer["token"].as_str().unwrap());
        let users = format!("/api/v1/companies/{}/users", place.company);
        world.get(&program, &users).await.is(200);
        world.get(&program, &path).await.is(403);
        world.get(&program, ME).await.is(403);

        let renewed = world
            .post(&admin, &format!("{path}/{id}/secret"), &json!({}))
            .await;
        let renewed = renewed.is(200).json();
        world.get(&program, &users).await.is(401);
        ask(&made["secret"]).await.is(401);
        let answer = ask(&renewed["secret"]).await.is(200).json();
        let program = bearing(answer["token"].as_str().unwrap());
        world.get(&program, &users).await.is(200);
        world.delete(&admin, &format!("{path}/{id}")).await.is(204);
        world.get(&program, &users).await.is(401);
        ask(&renewed["secret"]).await.is(401);
    })
    .await;
}
