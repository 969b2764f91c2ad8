//! Random worlds: what the core allows is what Cedar allows, action by action, place by place,
//! moment by moment.

use cloud_logic::ids::{CompanyId, GrantId, ProjectId, SiteId};
use cloud_logic::rights::{Grant, Period, Permission, Rights, Role, Scope, Withheld};
use model::Timestamp;
use proptest::prelude::*;
use rights_oracle::Judge;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

/// Two companies of two projects of two sites each.
fn places() -> Vec<Scope> {
    let mut places = Vec::new();
    for c in 1..=2 {
        let company = CompanyId::from_bits(c);
        places.push(Scope::Company(company));
        for p in 1..=2 {
            let project = ProjectId::from_bits(c * 10 + p);
            places.push(Scope::Project(company, project));
            for s in 1..=2 {
                let site = SiteId::from_bits(c * 100 + p * 10 + s);
                places.push(Scope::Site(company, project, site));
            }
        }
    }
    places
}

fn any_grant() -> impl Strategy<Value = Grant> {
    (
        any::<u64>(),
        proptest::sample::select(Role::ALL),
        proptest::sample::select(places()),
        0..10i64,
        proptest::option::of(1..10i64),
        0..8u8,
    )
        .prop_map(|(id, role, scope, from, lasts, withheld)| Grant {
            id: GrantId::from_bits(id.into()),
            role,
            scope,
            period: Period::new(at(from), lasts.map(|lasts| at(from + lasts)))
                .expect("it ends after it begins"),
            withheld: Withheld::from_bits(withheld),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn u1_the_core_allows_what_cedar_allows(
        grants in proptest::collection::vec(any_grant(), 0..5),
        now in (0..20i64).prop_map(at),
    ) {
        let places = places();
        let judge = Judge::new(&places, &grants);
        let rights = Rights::new(grants);
        for place in &places {
            for &permission in Permission::ALL {
                prop_assert_eq!(
                    rights.may(permission, place, now),
                    judge.allows(permission, place, now),
                    "{} at {:?}", permission, place
                );
            }
        }
    }
}

/// Not left to chance: each role alone, everywhere.
#[test]
fn u1_every_role_means_the_same_to_both() {
    let places = places();
    for &role in Role::ALL {
        for &scope in &places {
            let grant = Grant {
                id: GrantId::from_bits(1),
                role,
                scope,
                period: Period::without_end(at(0)),
                withheld: Withheld::NOTHING,
            };
            let judge = Judge::new(&places, std::slice::from_ref(&grant));
            let rights = Rights::new(vec![grant]);
            for &permission in Permission::ALL {
                assert_eq!(
                    rights.may(permission, &scope, at(0)),
                    judge.allows(permission, &scope, at(0)),
                    "{role} {permission} over {scope:?}"
                );
            }
        }
    }
}
