//! Stories of rights, with a small world of two companies.

use super::*;
use crate::ids::{CompanyId, GrantId, ProjectId, SiteId};
use proptest::prelude::*;

const NOW: Timestamp = at(1_000_000);
const DAY: i64 = 24 * 3600 * 1000;

const fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn later(ms: i64) -> Timestamp {
    at(NOW.unix_ms() + ms)
}

fn company(number: u128) -> Scope {
    Scope::Company(CompanyId::from_bits(number))
}

fn project(company: u128, number: u128) -> Scope {
    Scope::Project(
        CompanyId::from_bits(company),
        ProjectId::from_bits(company * 100 + number),
    )
}

fn site(company: u128, project: u128, number: u128) -> Scope {
    Scope::Site(
        CompanyId::from_bits(company),
        ProjectId::from_bits(company * 100 + project),
        SiteId::from_bits(company * 10_000 + project * 100 + number),
    )
}

fn grant(id: u128, role: Role, scope: Scope) -> Grant {
    Grant {
        id: GrantId::from_bits(id),
        role,
        scope,
        period: Period::without_end(at(0)),
        withheld: Withheld::NOTHING,
    }
}

fn until(grant: Grant, until: Timestamp) -> Grant {
    Grant {
        period: Period::new(grant.period.from(), Some(until)).unwrap(),
        ..grant
    }
}

fn holding(grants: &[Grant]) -> Rights {
    Rights::new(grants.to_vec())
}

fn draft(role: Role, scope: Scope) -> Draft<'static> {
    Draft {
        role,
        scope,
        period: Period::without_end(NOW),
        withheld: Withheld::NOTHING,
        reason: "",
    }
}

#[test]
fn u1_a_role_over_a_project_holds_in_its_sites_and_not_beside_it() {
    let rights = holding(&[grant(1, Role::Configurator, project(1, 1))]);
    let configures = |scope| rights.may(Permission::DeviceConfigure, &scope, NOW);
    assert!(configures(project(1, 1)));
    assert!(configures(site(1, 1, 5)));
    assert!(!configures(project(1, 2)));
    assert!(!configures(site(1, 2, 1)));
    assert!(!configures(company(1)));
    assert!(!rights.may(Permission::GrantConfigure, &site(1, 1, 5), NOW));
}

#[test]
fn u1_a_role_with_view_rights_configures_nothing() {
    for role in [Role::Viewer, Role::Insights] {
        for permission in role.permissions().iter() {
            let word = permission.word();
            assert!(word.ends_with(".view"), "{role} may {word}");
        }
    }
}

#[test]
fn u1_a_temporary_grant_gives_nothing_before_and_after_its_period() {
    let mut support = grant(1, Role::Support, site(1, 1, 1));
    support.period = Period::new(at(100), Some(at(200))).unwrap();
    let rights = holding(&[support]);
    let sees = |now| rights.may(Permission::DeviceView, &site(1, 1, 1), now);
    assert_eq!(
        [99, 100, 199, 200].map(at).map(sees),
        [false, true, true, false],
        "the end is not in the period"
    );
    assert_eq!(rights.next_change(at(0)), Some(at(100)));
    assert_eq!(rights.next_change(at(100)), Some(at(200)));
    assert_eq!(rights.next_change(at(200)), None);
    assert_eq!(
        rights.decide(Permission::DeviceView, &site(1, 1, 1), at(200)),
        Decision::Hidden
    );
}

#[test]
fn u1_sensitive_data_can_be_withheld() {
    let mut viewer = grant(1, Role::WebClient, company(1));
    viewer.withheld = Withheld::of(&[Sensitive::CallContent]);
    let rights = holding(&[viewer]);
    assert!(!rights.may(Permission::CallContentView, &site(1, 1, 1), NOW));
    assert!(rights.may(Permission::CallPartyView, &site(1, 1, 1), NOW));
    let told = rights.explain(Permission::CallContentView, &site(1, 1, 1), NOW);
    assert_eq!(told.decision, Decision::Forbidden);
    assert_eq!(told.grants[0].1, Standing::Withholds);
}

#[test]
fn what_one_grant_withholds_another_may_still_give() {
    let mut less = grant(1, Role::Viewer, company(1));
    less.withheld = Withheld::of(&[Sensitive::People]);
    let rights = holding(&[less, grant(2, Role::Viewer, project(1, 1))]);
    assert!(!rights.may(Permission::UserView, &company(1), NOW));
    assert!(rights.may(Permission::UserView, &project(1, 1), NOW));
}

#[test]
fn what_is_not_hers_does_not_exist_and_what_is_hers_is_forbidden() {
    let rights = holding(&[grant(1, Role::WebClient, site(1, 1, 1))]);
    let asks = |scope| rights.decide(Permission::DeviceConfigure, &scope, NOW);
    assert_eq!(asks(site(1, 1, 1)), Decision::Forbidden);
    assert_eq!(asks(project(1, 1)), Decision::Forbidden, "the way to it");
    assert_eq!(asks(site(1, 1, 2)), Decision::Hidden);
    assert_eq!(asks(project(1, 2)), Decision::Hidden);
    assert_eq!(asks(company(2)), Decision::Hidden);
}

#[test]
fn s1_an_integrator_sees_all_her_companies_and_no_other() {
    let rights = holding(&[
        grant(1, Role::Admin, company(1)),
        grant(2, Role::Viewer, site(1, 1, 1)),
        grant(3, Role::Configurator, project(2, 1)),
        grant(4, Role::Viewer, site(2, 1, 3)),
        grant(5, Role::Viewer, site(3, 1, 1)),
        until(grant(6, Role::Admin, company(4)), NOW),
    ]);
    let visible = rights.visible(Permission::DeviceView, NOW);
    assert_eq!(visible.companies, [CompanyId::from_bits(1)].into());
    assert_eq!(visible.projects, [ProjectId::from_bits(201)].into());
    assert_eq!(visible.sites, [SiteId::from_bits(30_101)].into());
    assert_eq!(
        rights.companies(NOW),
        [1, 2, 3].map(CompanyId::from_bits).into()
    );
}

#[test]
fn why_she_sees_it_names_every_grant_over_the_place() {
    let mut ahead = grant(4, Role::Admin, company(1));
    ahead.period = Period::without_end(later(1));
    let rights = holding(&[
        grant(1, Role::Viewer, site(1, 1, 1)),
        grant(2, Role::Billing, company(1)),
        until(grant(3, Role::Admin, project(1, 1)), NOW),
        ahead,
        grant(5, Role::Owner, company(2)),
    ]);
    let told = rights.explain(Permission::DeviceView, &site(1, 1, 1), NOW);
    let told: Vec<_> = told.grants.iter().map(|(g, s)| (g.id, *s)).collect();
    let id = GrantId::from_bits;
    assert_eq!(
        told,
        [
            (id(1), Standing::Allows),
            (id(2), Standing::NotInRole),
            (id(4), Standing::NotYet),
            (id(3), Standing::Over),
        ]
    );
}

#[test]
fn nobody_hands_on_more_than_she_has() {
    let rights = holding(&[
        grant(1, Role::Admin, project(1, 1)),
        grant(2, Role::Viewer, company(1)),
    ]);
    let gives = |role, scope| rights.may_grant(&draft(role, scope), NOW);
    assert_eq!(gives(Role::Admin, project(1, 1)), Ok(()));
    assert_eq!(gives(Role::Viewer, site(1, 1, 1)), Ok(()));
    assert_eq!(
        gives(Role::Viewer, company(1)),
        Err(GrantRefused::NotYours),
        "she sees the company and gives no rights over it"
    );
    assert_eq!(
        gives(Role::Viewer, site(1, 2, 1)),
        Err(GrantRefused::NotYours)
    );
    assert!(matches!(
        gives(Role::Owner, project(1, 1)),
        Err(GrantRefused::WrongScope { .. })
    ));
    let admin = holding(&[grant(1, Role::Admin, company(1))]);
    assert_eq!(
        admin.may_grant(&draft(Role::Owner, company(1)), NOW),
        Err(GrantRefused::MoreThanYouHave(Permission::CompanyHandOver))
    );
}

#[test]
fn who_is_kept_from_names_cannot_give_them_away() {
    let mut admin = grant(1, Role::Admin, company(1));
    admin.withheld = Withheld::of(&[Sensitive::People]);
    let rights = holding(&[admin]);
    let mut viewer = draft(Role::Viewer, company(1));
    assert!(matches!(
        rights.may_grant(&viewer, NOW),
        Err(GrantRefused::MoreThanYouHave(_))
    ));
    viewer.withheld = Withheld::of(&[Sensitive::People]);
    assert_eq!(rights.may_grant(&viewer, NOW), Ok(()));
}

#[test]
fn a_temporary_admin_hands_on_nothing_that_outlasts_her() {
    let rights = holding(&[until(grant(1, Role::Admin, company(1)), later(DAY))]);
    let mut viewer = draft(Role::Viewer, company(1));
    assert!(matches!(
        rights.may_grant(&viewer, NOW),
        Err(GrantRefused::LongerThanYouHave(_))
    ));
    viewer.period = Period::new(NOW, Some(later(DAY))).unwrap();
    assert_eq!(
        rights.may_grant(&viewer, NOW),
        Err(GrantRefused::ReasonMissing)
    );
    viewer.reason = "inspection";
    assert_eq!(rights.may_grant(&viewer, NOW), Ok(()));
    viewer.period = Period::new(NOW, Some(later(DAY + 1))).unwrap();
    assert!(matches!(
        rights.may_grant(&viewer, NOW),
        Err(GrantRefused::LongerThanYouHave(_))
    ));
}

#[test]
fn support_has_an_end_and_a_reason() {
    let rights = holding(&[grant(1, Role::Owner, company(1))]);
    let mut support = draft(Role::Support, site(1, 1, 1));
    support.reason = "door 3 does not open";
    assert_eq!(
        rights.may_grant(&support, NOW),
        Err(GrantRefused::SupportWithoutEnd)
    );
    support.period = Period::new(NOW, Some(later(90 * DAY + 1))).unwrap();
    assert_eq!(
        rights.may_grant(&support, NOW),
        Err(GrantRefused::SupportWithoutEnd)
    );
    support.period = Period::new(NOW, Some(later(90 * DAY))).unwrap();
    assert_eq!(rights.may_grant(&support, NOW), Ok(()));
    support.reason = "  ";
    assert_eq!(
        rights.may_grant(&support, NOW),
        Err(GrantRefused::ReasonMissing)
    );
    support.period = Period::new(at(0), Some(NOW)).unwrap();
    assert_eq!(rights.may_grant(&support, NOW), Err(GrantRefused::Over));
}

#[test]
fn an_admin_takes_nothing_from_an_owner_and_anybody_lays_down_her_own() {
    let owner = grant(1, Role::Owner, company(1));
    let admin = grant(2, Role::Admin, company(1));
    let viewer = grant(3, Role::Viewer, company(1));
    let admins = holding(std::slice::from_ref(&admin));
    assert_eq!(
        admins.may_remove(&owner, NOW),
        Err(RemovalRefused::MoreThanYouHave(Permission::CompanyHandOver))
    );
    assert_eq!(admins.may_remove(&viewer, NOW), Ok(()));
    assert_eq!(admins.may_remove(&admin, NOW), Ok(()));
    let viewers = holding(std::slice::from_ref(&viewer));
    assert_eq!(viewers.may_remove(&viewer, NOW), Ok(()));
    assert_eq!(
        viewers.may_remove(&admin, NOW),
        Err(RemovalRefused::NotYours)
    );
}

#[test]
fn the_last_owner_stays() {
    let first = grant(1, Role::Owner, company(1));
    let second = grant(2, Role::Owner, company(1));
    let visiting = until(grant(3, Role::Owner, company(1)), later(DAY));
    let owners = [first.clone(), second.clone(), visiting];
    assert_eq!(may_remove_owner(&owners, &[first.id], NOW), Ok(()));
    assert_eq!(
        may_remove_owner(&owners, &[first.id, second.id], NOW),
        Err(RemovalRefused::LastOwner),
        "one who leaves soon is no owner to rely on"
    );
}

#[test]
fn the_words_of_roles_and_permissions_are_read_as_they_are_written() {
    for &role in Role::ALL {
        assert_eq!(role.word().parse(), Ok(role));
        assert_eq!(
            serde_json::to_value(role).unwrap(),
            serde_json::json!(role.word())
        );
    }
    for &permission in Permission::ALL {
        assert_eq!(permission.word().parse(), Ok(permission));
        assert_eq!(
            serde_json::to_value(permission).unwrap(),
            serde_json::json!(permission.word())
        );
    }
    assert!("god".parse::<Role>().is_err());
}

#[test]
fn what_is_withheld_comes_back_from_the_store_without_unknown_bits() {
    let withheld = Withheld::of(&[Sensitive::People, Sensitive::Secrets]);
    assert_eq!(Withheld::from_bits(withheld.bits()), withheld);
    assert_eq!(Withheld::from_bits(0xf8), Withheld::NOTHING);
}

fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        (1..3u128).prop_map(company),
        (1..3u128, 1..3u128).prop_map(|(c, p)| project(c, p)),
        (1..3u128, 1..3u128, 1..3u128).prop_map(|(c, p, s)| site(c, p, s)),
    ]
}

fn any_grant() -> impl Strategy<Value = Grant> {
    (
        any::<u64>(),
        proptest::sample::select(Role::ALL),
        any_scope(),
        0..20i64,
        proptest::option::of(1..20i64),
        0..8u8,
    )
        .prop_map(|(id, role, scope, from, lasts, withheld)| Grant {
            id: GrantId::from_bits(id.into()),
            role,
            scope,
            period: Period::new(at(from), lasts.map(|lasts| at(from + lasts))).unwrap(),
            withheld: Withheld::from_bits(withheld),
        })
}

fn any_rights() -> impl Strategy<Value = Rights> {
    proptest::collection::vec(any_grant(), 0..6).prop_map(Rights::new)
}

fn any_permission() -> impl Strategy<Value = Permission> {
    proptest::sample::select(Permission::ALL)
}

proptest! {
    #[test]
    fn a_list_shows_a_site_exactly_when_it_may_be_seen(
        rights in any_rights(), permission in any_permission(), now in (0..25i64).prop_map(at),
        c in 1..3u128, p in 1..3u128, s in 1..3u128,
    ) {
        let place = site(c, p, s);
        prop_assert_eq!(
            rights.visible(permission, now).contains(&place),
            rights.may(permission, &place, now)
        );
    }

    #[test]
    fn a_right_holds_below_where_it_holds(
        rights in any_rights(), permission in any_permission(), now in (0..25i64).prop_map(at),
        outer in any_scope(), inner in any_scope(),
    ) {
        if outer.covers(&inner) && rights.may(permission, &outer, now) {
            prop_assert!(rights.may(permission, &inner, now));
        }
    }

    #[test]
    fn the_explanation_allows_exactly_when_the_decision_does(
        rights in any_rights(), permission in any_permission(), now in (0..25i64).prop_map(at),
        scope in any_scope(),
    ) {
        let told = rights.explain(permission, &scope, now);
        let allows = told.grants.iter().any(|(_, standing)| *standing == Standing::Allows);
        prop_assert_eq!(allows, rights.may(permission, &scope, now));
        prop_assert_eq!(allows, told.decision == Decision::Allowed);
    }

    /// Whatever chain of grants starts from her, nothing comes into the world that she had not.
    #[test]
    fn what_is_handed_on_was_held(
        rights in any_rights(), given in any_grant(), now in (0..25i64).prop_map(at), later in (0..50i64).prop_map(at),
        permission in any_permission(), place in any_scope(),
    ) {
        let asked = Draft {
            role: given.role, scope: given.scope, period: given.period,
            withheld: given.withheld, reason: "test",
        };
        if rights.may_grant(&asked, now).is_ok() && later >= now {
            let receiver = Rights::new(vec![given]);
            if receiver.may(permission, &place, later) {
                prop_assert!(rights.may(permission, &place, later));
            }
        }
    }
}
