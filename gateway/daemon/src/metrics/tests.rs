use super::*;

/// What `docs/metrics.md` has to hold.
fn documented() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         Served at `/metrics` of the address in `metrics.listen`; `/healthz` beside it answers 200 \
         while the gateway handles calls and 503 when its main loop is stuck. Names never change \
         once released. This list is made from `gateway/daemon/src/metrics/list.rs`; a test \
         compares them (`UPDATE_DOCS=1 cargo test -p gateway-daemon metrics` writes it anew).\n\n\
         | name | kind | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    let all = [list::STUCK, list::STARTED]
        .into_iter()
        .chain(DESCRIPTIONS.iter().copied());
    for description in all {
        let Description {
            name,
            labels,
            kind,
            help,
        } = description;
        let labels = match labels {
            "" => String::new(),
            labels => format!("`{labels}`"),
        };
        let (kind, help) = (kind.name(), help.trim());
        writeln!(text, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    for (name, labels, help) in Sound::described() {
        writeln!(text, "| `{name}` | histogram | {labels} | {help} |").unwrap();
    }
    for (name, kind, help) in LineMetrics::described() {
        writeln!(text, "| `{name}` | {kind} | `line` | {help} |").unwrap();
    }
    text
}

#[test]
fn the_documentation_lists_every_metric_with_its_meaning() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, documented()).unwrap();
    }
    let there = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(
        there,
        documented(),
        "run with UPDATE_DOCS=1 and commit docs/metrics.md"
    );
}

#[test]
fn names_follow_the_rules_of_prometheus_and_are_explained_once() {
    let mut explained = std::collections::BTreeSet::new();
    let mut lines = std::collections::BTreeSet::new();
    let mut previous = "";
    for description in DESCRIPTIONS {
        let Description {
            name,
            labels,
            kind,
            help,
        } = *description;
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        assert!(
            lines.insert((name, labels)),
            "{name} {labels} is there twice"
        );
        if name == previous {
            assert!(help.is_empty() && !labels.is_empty(), "{name} {labels}");
        } else {
            assert!(explained.insert(name), "{name} stands apart from its like");
            assert!(help.ends_with('.'), "{name}: {help}");
        }
        previous = name;
    }
}

#[test]
fn figures_are_rendered_as_prometheus_reads_them() {
    let figures = Figures::new(StoreFigures::default(), Arc::default());
    let text = figures.render();
    assert!(
        text.contains("# TYPE antiphon_calls gauge\nantiphon_calls 0\n"),
        "{text}"
    );
    assert!(
        text.contains("antiphon_legs_ended_total{status=\"busy\"} 0\n"),
        "{text}"
    );
    assert_eq!(text.matches("# TYPE antiphon_legs_ended_total").count(), 1);
    assert!(text.contains("antiphon_main_loop_stuck 0\n"), "{text}");
}

#[test]
fn a_disk_that_fails_degrades_the_health_but_does_not_end_it() {
    let store = StoreFigures::default();
    let figures = Figures::new(store.clone(), Arc::default());
    assert_eq!(figures.health(), Health::Well);
    store.journal.degraded.store(true, Ordering::Relaxed);
    assert_eq!(figures.health(), Health::Degraded);
}
