use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;
use crate::api::{SECONDS, TOTAL};
use crate::people::testing::World;
use crate::store::testing::on_both;

/// What `docs/core-metrics.md` has to hold.
fn documented() -> String {
    let mut text = String::from(
        "# Metrics of the cloud core\n\n\
         Served at `/metrics` of the address in `listen.metrics`, without TLS and without sign-in: \
         leave it on the loopback, or let only Prometheus reach it. Beside it: `/live` answers while \
         the process runs, `/ready` while its store answers. Nothing there names a company, a person \
         or a device. Figures of the store are of all nodes together, the others of this node. Names \
         never change once released. This list is made from \
         `cloud-core/daemon/src/service/metrics/list.rs`; a test compares them (`UPDATE_DOCS=1 cargo \
         test -p cloud-daemon metrics` writes it anew).\n\n\
         | name | kind | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for Description {
        name,
        labels,
        kind,
        help,
    } in list::DESCRIPTIONS
    {
        let labels = match *labels {
            "" => String::new(),
            labels => format!("`{labels}`"),
        };
        let (kind, help) = (kind.name(), help.trim());
        writeln!(text, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    let (name, help) = TOTAL;
    writeln!(
        text,
        "| `{name}` | counter | `method`, `route`, `status` | {help} |"
    )
    .unwrap();
    let (name, help) = SECONDS;
    writeln!(
        text,
        "| `{name}` | histogram | `method`, `route` | {help} |"
    )
    .unwrap();
    text
}

#[test]
fn the_documentation_lists_every_metric_with_its_meaning() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/core-metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, documented()).unwrap();
    }
    let there = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(
        there,
        documented(),
        "run with UPDATE_DOCS=1 and commit docs/core-metrics.md"
    );
}

#[test]
fn names_follow_the_rules_of_prometheus_and_are_explained_once() {
    let mut explained = BTreeSet::new();
    let mut lines = BTreeSet::new();
    let mut previous = "";
    for description in list::DESCRIPTIONS {
        let Description {
            name,
            labels,
            kind,
            help,
        } = *description;
        assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        assert!(lines.insert((name, labels)), "{name} {labels} twice");
        if name == previous {
            assert!(help.is_empty() && !labels.is_empty(), "{name} {labels}");
        } else {
            assert!(explained.insert(name), "{name} stands apart from its like");
            assert!(help.ends_with('.'), "{name}: {help}");
        }
        previous = name;
    }
}

async fn sources(world: &World) -> (Sources, crate::front_door::FrontDoor) {
    let settings = crate::front_door::Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        plain: None,
        sockets: 10,
        broker: None,
    };
    let door = crate::front_door::open(world.core.clone(), settings)
        .await
        .unwrap();
    let sources = Sources {
        core: world.core.clone(),
        started: world.core.now(),
        door: door.figures(),
        api: Arc::default(),
        revocation: Arc::default(),
        calls: Arc::default(),
    };
    (sources, door)
}

#[tokio::test]
async fn g5_figures_of_the_door_the_store_and_the_routes_are_rendered() {
    on_both(async |store| {
        let world = World::new(store).await;
        let place = world.company("a").await;
        world.device(place).await;
        world.get(&World::ours(), "/api/v1/companies").await.is(401);
        let (sources, door) = sources(&world).await;
        let text = sources.render().await;
        for line in [
            "antiphon_cloud_store_up 1\n",
            "antiphon_cloud_nodes 1\n",
            "antiphon_cloud_devices_claimed 1\n",
            "antiphon_cloud_devices_online 0\n",
            "antiphon_cloud_letters_waiting 0\n",
            "antiphon_cloud_door_devices 0\n",
            "antiphon_cloud_door_ended_total{why=\"lost\"} 0\n",
            "route=\"/api/v1/companies\",status=\"4xx\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}in\n{text}");
        }
        // No figure of the door is left out.
        let figures = sources.door.all();
        let listed = text
            .lines()
            .filter(|line| line.starts_with("antiphon_cloud_door_"));
        assert_eq!(listed.count(), figures.len() + 1, "{figures:?}");
        door.close().await;
        world.core.store.close().await;
        let text = sources.render().await;
        assert!(text.contains("antiphon_cloud_store_up 0\n"), "{text}");
        assert!(!text.contains("antiphon_cloud_nodes"), "{text}");
    })
    .await;
}
