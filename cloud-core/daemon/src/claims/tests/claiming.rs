//! Who gets a unit, and who is refused.

use super::*;

#[tokio::test]
async fn d1_of_two_claims_at_the_same_instant_exactly_one_wins() {
    on_both(async |store| {
        let world = World::new(store).await;
        let places = [world.site(1).await, world.site(2).await];
        for _ in 0..10 {
            let code = world.unit("OD1", None).await;
            let (a, b) = tokio::join!(
                world.claim(1, &code, places[0]),
                world.claim(2, &code, places[1])
            );
            let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
            assert!(won.is_ok());
            assert!(matches!(
                lost,
                Err(BindError::NoSuchCode | BindError::TooMany { .. })
            ));
            world.core.clock.advance(DAY);
        }
    })
    .await;
}

#[tokio::test]
async fn d1_wrong_and_taken_codes_are_one_answer_and_five_an_hour_are_enough() {
    on_both(async |store| {
        let world = World::new(store).await;
        let places = [world.site(1).await, world.site(2).await];
        let taken = world.unit("OD1", None).await;
        world.claim(1, &taken, places[0]).await.unwrap();
        let unknown = ClaimCode::from_random([9; 20]);
        let mut said = Vec::new();
        for code in [&taken, &unknown, &taken, &unknown, &taken] {
            let refused = world.claim(2, code, places[1]).await.unwrap_err();
            said.push(refused.to_string());
        }
        said.dedup();
        assert_eq!(said.len(), 1, "{said:?}");
        let good = world.unit("OD1", None).await;
        let sixth = world.claim(2, &good, places[1]).await;
        assert!(matches!(sixth, Err(BindError::TooMany { .. })));
        assert!(
            world.claim(3, &good, places[1]).await.is_ok(),
            "a colleague"
        );
        let next = world.unit("OD1", None).await;
        world.core.clock.advance(Duration::from_secs(3601));
        assert!(
            world.claim(2, &next, places[1]).await.is_ok(),
            "an hour later"
        );
    })
    .await;
}

#[tokio::test]
async fn d1_fifty_wrong_codes_a_day_are_enough_for_a_company() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.site(1).await;
        let unknown = ClaimCode::from_random([9; 20]);
        let tries = (0..60).map(|by| world.claim(by, &unknown, place));
        let mut refused = (0, 0);
        for tried in futures(tries).await {
            match tried.unwrap_err() {
                BindError::NoSuchCode => refused.0 += 1,
                BindError::TooMany { .. } => refused.1 += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!(refused, (50, 10));
    })
    .await;
}

/// All at the same time.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn d1_a_mode_that_the_model_does_not_have_is_refused_with_the_reason() {
    on_both(async |store| {
        let world = World::new(store).await;
        let (place, code) = (world.site(1).await, world.unit("AF 20H", None).await);
        let refused = world.claim(1, &code, place).await.unwrap_err();
        let BindError::Catalogue(reasons) = refused else {
            panic!("{refused}");
        };
        assert_eq!(reasons[0].code(), "mode_not_offered");
    })
    .await;
}

#[tokio::test]
async fn d1_a_released_device_is_void_at_once_and_can_be_claimed_by_the_next_owner() {
    on_both(async |store| {
        let world = World::new(store).await;
        let places = [world.site(1).await, world.site(2).await];
        let (code, key) = (world.unit("OD1", None).await, new_key());
        let before = world.claim(1, &code, places[0]).await.unwrap();
        let enrolment = world.enrol(&code, &key).await.enrolment();
        let shown = Shown {
            chain: chain(&enrolment),
            key,
        };
        release(&world.core, &actor(), before.device).await.unwrap();
        let again = release(&world.core, &actor(), before.device).await;
        assert!(matches!(again, Err(BindError::NoSuchDevice)));
        let judged = world.judged(&shown.chain[0]).await;
        assert!(matches!(judged, Err(Barred::Void(Reason::Released))));
        let fresh = new_key();
        let renewal = world
            .post("/v1/reenroll", Some(&shown), Ask::with(&fresh, None))
            .await;
        assert_eq!(renewal.status, 403);
        assert_eq!(world.enrol(&code, &fresh).await.status, 202, "nobody's");
        let after = world.claim(2, &code, places[1]).await.unwrap();
        assert_ne!(after.device, before.device);
        assert_eq!((before.epoch.number(), after.epoch.number()), (1, 2));
        let renewal = world
            .post("/v1/reenroll", Some(&shown), Ask::with(&fresh, None))
            .await;
        assert_eq!(renewal.status, 403, "the first owner's certificate");
        let used = world.enrol(&code, &shown.key).await;
        assert_eq!(
            (used.status, used.findings()),
            (422, vec!["key_used".to_owned()])
        );
        let enrolment = world.enrol(&code, &fresh).await.enrolment();
        assert_eq!(enrolment.device, after.device.to_string());
    })
    .await;
}

#[tokio::test]
async fn d1_another_unit_takes_the_place_of_a_broken_one_under_the_same_device() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.site(1).await;
        let (broken, spare) = (world.unit("OD1", None).await, world.unit("OD1", None).await);
        let claimed = world.claim(1, &broken, place).await.unwrap();
        let key = new_key();
        let old = chain(&world.enrol(&broken, &key).await.enrolment());
        let other = world.unit("OD1 CM", None).await;
        let what = (claimed.device, place, other);
        let refused = replace(&world.core, user(1), &actor(), what).await;
        assert!(matches!(refused, Err(BindError::OtherModel { .. })));
        assert!(world.judged(&old[0]).await.is_ok(), "nothing was changed");
        let what = (claimed.device, place, spare.clone());
        let replaced = replace(&world.core, user(1), &actor(), what).await.unwrap();
        assert_eq!(
            (replaced.device, replaced.epoch.number()),
            (claimed.device, 2)
        );
        let void = world.judged(&old[0]).await;
        assert!(matches!(void, Err(Barred::Void(Reason::Superseded))));
        let fresh = new_key();
        let enrolment = world.enrol(&spare, &fresh).await.enrolment();
        assert_eq!(enrolment.device, claimed.device.to_string());
        let (name, serial_number) = world.shown(claimed.device).await;
        assert_eq!(serial_number, replaced.serial_number);
        assert_eq!(name, format!("OD1 {serial_number}"));
        assert!(
            world.claim(1, &broken, place).await.is_ok(),
            "repaired, it is free"
        );
    })
    .await;
}
