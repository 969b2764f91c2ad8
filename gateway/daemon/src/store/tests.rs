//! The store from outside: order of answers, restarts, failing disks.

use std::os::unix::fs::PermissionsExt;

use exchange::{Standing, StandingOrder};
use model::{
    Address, AudioCodec, Bandwidth, CallId, CallNumber, CallRecord, Carried, Decoded, DialStatus,
    EndCause, ForwardWhen, ForwardingRule, LegAudio, LegId, LegRole, Level, Mos, NodeId, Party,
    Priority, Received, RecordId, Sent, Timestamp,
};

use super::*;

const OPTIONS: StoreOptions = StoreOptions {
    registrations: Sync::Crash,
    keep_records: Duration::from_secs(86_400),
};

fn binding(aor: &str, data: &[u8]) -> BindingsWrite {
    BindingsWrite {
        aor: aor.into(),
        bindings: vec![StoredBinding {
            expires: Timestamp::from_unix_ms(i64::MAX),
            data: data.into(),
        }],
    }
}

fn record(id: u64) -> JournalWrite {
    JournalWrite::Call(Box::new(call(id)))
}

/// A record of a leg that was decoded, and that never reported.
pub(super) fn call_with_audio(id: u64) -> CallRecord {
    CallRecord {
        audio: Some(LegAudio {
            codec: Some(AudioCodec::G722),
            band: Some(Bandwidth::Wide),
            carried: Carried::Transcoded,
            encryption: Some("AEAD_AES_128_GCM"),
            round_trip: None,
            silent_for: None,
            received: Received {
                packets: 988,
                lost: 12,
                jitter: Duration::from_micros(4_250),
                delay: None,
                mos: Some(Mos::from_hundredths(402)),
                decoded: Some(Decoded {
                    late: 3,
                    level: Some(Level::from_tenths(-264)),
                    ..Decoded::default()
                }),
            },
            sent: Sent {
                packets: 1000,
                far: None,
            },
        }),
        ..call(id)
    }
}

fn call(id: u64) -> CallRecord {
    let now = Timestamp::from_unix_ms(1_800_000_000_000);
    CallRecord {
        id: RecordId::new(id),
        call: CallId::new(1),
        leg: LegId::new(2),
        role: LegRole::Caller,
        party: Party::default(),
        dialled: None,
        by_way_of: None,
        priority: Priority::DEFAULT,
        started: now,
        answered: None,
        ended: now,
        rang_for: Duration::from_secs(3),
        talked_for: Duration::ZERO,
        talked_with: None,
        status: DialStatus::NoAnswer,
        cause: EndCause::NoAnswer,
        audio: None,
    }
}

/// Takes answers of `lane` until `sequence` is answered.
fn wait(store: &mut Store, lane: &str, sequence: Sequence) -> Kept {
    loop {
        let answer = store.answers.blocking_recv().expect("the lanes live");
        if answer.lane == lane && answer.through >= sequence {
            return answer.kept;
        }
    }
}

#[test]
fn registrations_and_the_count_of_starts_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, restored) = Store::open(folder.path(), OPTIONS).unwrap();
    assert!(restored.bindings.is_empty());
    store.write_bindings(binding("101", b"old")).unwrap();
    store.write_bindings(binding("102", b"gone")).unwrap();
    store.write_bindings(binding("101", b"new")).unwrap();
    let nothing = BindingsWrite {
        bindings: Vec::new(),
        ..binding("102", b"")
    };
    let last = store.write_bindings(nothing).unwrap();
    assert_eq!(wait(&mut store, BINDINGS, last), Kept::Safe);
    store.finish();

    let (store, again) = Store::open(folder.path(), OPTIONS).unwrap();
    assert_eq!(again.bindings, [binding("101", b"new")]);
    assert_eq!(again.start_count, restored.start_count + 1);
    store.finish();
}

#[test]
fn b9_the_last_word_of_each_standing_order_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, restored) = Store::open(folder.path(), OPTIONS).unwrap();
    assert_eq!(restored.standing, []);
    let number = |text| CallNumber::parse(text).unwrap();
    let diverted = |station, when, to| Standing {
        station: number(station),
        order: StandingOrder::Diversion(Some(ForwardingRule::new(when, to))),
    };
    let after = Duration::from_secs(20);
    let behind = Address::Remote {
        node: NodeId::from_key("hall"),
        number: number("2101"),
    };
    let holding = [
        diverted("101", ForwardWhen::NoAnswer { after }, behind),
        diverted("102", ForwardWhen::Busy, number("101").into()),
        Standing {
            station: number("101"),
            order: StandingOrder::Programme(Some(3)),
        },
    ];
    let over = diverted("103", ForwardWhen::Always, number("101").into());
    let taken_back = Standing {
        station: number("103"),
        order: StandingOrder::Diversion(None),
    };
    let earlier = diverted("102", ForwardWhen::Always, number("103").into());
    let writes = [earlier, over, taken_back]
        .into_iter()
        .chain(holding.clone());
    for write in writes {
        store.write_journal(JournalWrite::Standing(write)).unwrap();
    }
    store.finish();
    let (store, again) = Store::open(folder.path(), OPTIONS).unwrap();
    assert_eq!(again.standing, holding);
    store.finish();
}

#[test]
fn every_write_is_answered_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), OPTIONS).unwrap();
    let writes = 5_000;
    for number in 1..=writes {
        let sequence = store.write_bindings(binding("101", b"x")).unwrap();
        assert_eq!(sequence, Sequence(number));
    }
    let mut through = Sequence::default();
    while through < Sequence(writes) {
        let answer = store.answers.blocking_recv().unwrap();
        assert!(answer.through > through, "{answer:?} after {through:?}");
        through = answer.through;
    }
    let figures = store.figures();
    assert_eq!(figures.bindings.writes.load(Ordering::Relaxed), writes);
    assert_eq!(figures.bindings.waiting.load(Ordering::Relaxed), 0);
    assert!(
        figures.bindings.commits.load(Ordering::Relaxed) < writes,
        "not grouped"
    );
    store.finish();
}

#[test]
fn a_record_is_written_once_per_id() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), OPTIONS).unwrap();
    store.write_journal(record(7)).unwrap();
    store.write_journal(record(7)).unwrap();
    let last = store.write_journal(record(8)).unwrap();
    assert_eq!(wait(&mut store, JOURNAL, last), Kept::Safe);
    store.finish();
    let journal = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
    let rows: Vec<(i64, String)> = journal
        .prepare("SELECT id, status FROM call_record ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows, [(7, "no_answer".into()), (8, "no_answer".into())]);
}

#[test]
fn a_recording_is_one_row_that_is_there_from_its_begin() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), OPTIONS).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let began = i64::try_from(now.unwrap().as_millis()).unwrap();
    let note = |end| {
        JournalWrite::Recording(Box::new(RecordingNote {
            call: CallId::new(17),
            file: "recordings/a.opus".into(),
            began: Timestamp::from_unix_ms(began),
            end,
        }))
    };
    let file = folder.path().join("journal.db");
    let row = || {
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.query_row(
            "SELECT call, length_ms, failure FROM recording",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
    };
    type Row = (i64, Option<i64>, Option<String>);
    let begun = store.write_journal(note(None)).unwrap();
    wait(&mut store, JOURNAL, begun);
    let there: Row = row().unwrap();
    assert_eq!(there, (17, None, None));
    let ended = store.write_journal(note(Some(RecordingEnd {
        length: Duration::from_secs(3),
        bytes: 9_000,
        legs: Vec::new(),
        failure: Some("no space left".into()),
    })));
    wait(&mut store, JOURNAL, ended.unwrap());
    let there: Row = row().unwrap();
    assert_eq!(there, (17, Some(3_000), Some("no space left".into())));
}

#[test]
fn records_that_are_too_old_go_and_younger_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), OPTIONS).unwrap();
    store.write_journal(record(1)).unwrap();
    store.write_journal(record(2)).unwrap();
    store.finish();
    let connection = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
    let journal = Journal {
        keep: Duration::ZERO,
    };
    connection
        .execute("UPDATE call_record SET ended_ms = 1 WHERE id = 1", [])
        .unwrap();
    journal.tidy(&connection).unwrap();
    let left: i64 = connection
        .query_row("SELECT id FROM call_record", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 2);
}

#[test]
fn a_second_gateway_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), OPTIONS).unwrap();
    let error = Store::open(folder.path(), OPTIONS).unwrap_err();
    assert!(
        error.to_string().contains("another gateway is using"),
        "{error}"
    );
    store.finish();
}

#[test]
fn a_broken_file_costs_its_content_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bindings.db", "journal.db"] {
        std::fs::write(folder.path().join(name), vec![7; 100_000]).unwrap();
    }
    let (mut store, restored) = Store::open(folder.path(), OPTIONS).unwrap();
    assert!(restored.bindings.is_empty());
    assert!(
        restored.start_count > 1_000,
        "the count must not start anew"
    );
    let last = store.write_bindings(binding("101", b"x")).unwrap();
    assert_eq!(wait(&mut store, BINDINGS, last), Kept::Safe);
    let figures = store.figures();
    // The spool is opened by the link.
    for lane in [figures.bindings, figures.journal] {
        assert_eq!(lane.set_aside.load(Ordering::Relaxed), 1);
    }
    store.finish();
}

#[test]
fn damage_that_shows_while_running_sets_the_file_aside_too() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), OPTIONS).unwrap();
    for id in 1..=3_000 {
        store.write_journal(record(id)).unwrap();
    }
    store.finish();
    let file = folder.path().join("journal.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // Behind the first page, so that the file still opens.
    bytes[8 * 4096..].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();

    let (mut store, _) = Store::open(folder.path(), OPTIONS).unwrap();
    let last = store.write_journal(record(9_999)).unwrap();
    assert_eq!(wait(&mut store, JOURNAL, last), Kept::Safe);
    let figures = store.figures();
    assert_eq!(figures.journal.set_aside.load(Ordering::Relaxed), 1);
    assert!(!figures.journal.degraded.load(Ordering::Relaxed));
    store.finish();
}

#[test]
fn a_file_that_cannot_be_opened_leaves_the_gateway_working_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bindings.db", "journal.db"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let (mut store, restored) = Store::open(folder.path(), OPTIONS).unwrap();
    assert!(restored.start_count > 1_000, "ids must not be used twice");
    let last = store.write_bindings(binding("101", b"x")).unwrap();
    assert_eq!(wait(&mut store, BINDINGS, last), Kept::InMemory);
    let last = store.write_journal(record(1)).unwrap();
    assert_eq!(wait(&mut store, JOURNAL, last), Kept::InMemory);
    let figures = store.figures();
    // The spool is opened by the link.
    for lane in [figures.bindings, figures.journal] {
        assert!(lane.degraded.load(Ordering::Relaxed), "nobody is told");
    }
    store.finish();
}

#[test]
fn a_folder_that_cannot_be_used_is_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let error = Store::open(&file, OPTIONS).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("set `state_folder` to another one"),
        "{error}"
    );
}

/// Tells the child of the next test where to write.
const CHILD: &str = "ANTIPHON_TEST_STORE_CHILD";

/// The child writes and says what was acknowledged; the parent kills it at some moment and looks.
#[test]
fn what_was_acknowledged_is_there_after_a_kill_at_any_moment() {
    if let Ok(task) = std::env::var(CHILD) {
        let (number, folder) = task.split_once(' ').unwrap();
        write_until_killed(number.parse().unwrap(), Path::new(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut kept = 0;
    for lines in [1, 12, 5, 40, 2, 20] {
        kept = killed_after(lines, kept, folder.path());
        let (store, restored) = Store::open(folder.path(), OPTIONS).unwrap();
        for (_, lane) in store.figures().lanes() {
            assert_eq!(lane.set_aside.load(Ordering::Relaxed), 0);
        }
        store.finish();
        let mut found: Vec<u64> = restored
            .bindings
            .iter()
            .map(|b| b.aor.parse().unwrap())
            .collect();
        found.sort_unstable();
        let missing = (1..=kept).find(|number| found.binary_search(number).is_err());
        assert_eq!(missing, None, "of {kept} acknowledged ones");
        let journal = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
        file::quick_check(&journal).unwrap();
        let records: i64 = journal
            .query_row(
                "SELECT count(*) FROM call_record WHERE id <= ?1",
                [kept.cast_signed()],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(records.cast_unsigned(), kept);
    }
}

/// Starts the child, reads so many of its lines, kills it, and answers what it said last.
fn killed_after(lines: usize, from: u64, folder: &Path) -> u64 {
    use std::io::{BufRead, BufReader};
    let test = "store::tests::what_was_acknowledged_is_there_after_a_kill_at_any_moment";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, format!("{from} {}", folder.display()))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let acknowledged = output.lines().map_while(Result::ok).filter_map(|line| {
        line.strip_prefix("acknowledged ")
            .map(|number| number.parse().unwrap())
    });
    let last = acknowledged.take(lines).last();
    child.kill().unwrap();
    child.wait().unwrap();
    last.expect("the child acknowledged something")
}

fn write_until_killed(mut number: u64, folder: &Path) -> ! {
    let (mut store, _) = Store::open(folder, OPTIONS).unwrap();
    loop {
        let (mut binding_written, mut record_written) = Default::default();
        for _ in 0..20 {
            number += 1;
            let name = number.to_string();
            binding_written = store.write_bindings(binding(&name, &[1; 100])).unwrap();
            record_written = store.write_journal(record(number)).unwrap();
        }
        let mut open = 2;
        while open > 0 {
            let answer = store.answers.blocking_recv().unwrap();
            assert_eq!(answer.kept, Kept::Safe);
            let last = if answer.lane == BINDINGS {
                binding_written
            } else {
                record_written
            };
            open -= usize::from(answer.through == last);
        }
        println!("acknowledged {number}");
    }
}
