//! The recorder as a whole: handed over, written, read back, verified.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use net::flows::ListenerId;

use super::entry::{Entry, What};
use super::*;

fn options(folder: &Path) -> TimelineOptions {
    TimelineOptions {
        folder: folder.join("timeline"),
        keep: Duration::from_secs(86_400),
        most_bytes: 64 << 20,
        gateway: "house".to_owned(),
    }
}

fn start(options: &TimelineOptions) -> Timeline {
    Timeline::start(options.clone(), Names::default(), Vec::new()).unwrap()
}

fn flow(from: &str) -> Flow {
    let local = "192.0.2.1:5060".parse().unwrap();
    Flow::datagrams(ListenerId(1), local, from.parse().unwrap())
}

fn message(number: usize) -> Bytes {
    Bytes::from(format!(
        "MESSAGE sip:a SIP/2.0\r\nCall-ID: {number}\r\nAuthorization: Digest response=\"secret\"\r\n\r\n"
    ))
}

fn entries(folder: &Path) -> Vec<Entry> {
    let mut reader = Reader::new(folder);
    let mut all = Vec::new();
    while let Some(entry) = reader.next().unwrap() {
        all.push(entry);
    }
    assert_eq!(reader.unreadable, 0);
    all
}

fn sound(folder: &Path) -> Report {
    let report = verify(folder, None).unwrap();
    assert!(report.first_break.is_none(), "{report:?}");
    report
}

#[test]
fn what_was_handed_over_stands_there_in_order_over_restarts_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    for round in 0..3 {
        let mut timeline = start(&options);
        for number in 0..100 {
            let from = flow(&format!("192.0.2.{}:5060", 10 + number % 20));
            timeline.received(&from, &message(round * 100 + number), Instant::now());
            timeline.sent(&from, &Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n"));
            timeline.turn_over();
        }
        timeline.finish();
    }
    let all = entries(&options.folder);
    assert_eq!(all.len(), 600);
    for (index, pair) in all.chunks(2).enumerate() {
        let [came, left] = pair else { panic!() };
        assert_eq!(came.entry, 2 * index as u64 + 1);
        let What::Sip(message) = &came.what else {
            panic!("{came:?}")
        };
        assert_eq!(message.call_id, Some(index.to_string()));
        assert_eq!(message.octets.masked, ["authorization"]);
        assert_eq!((came.because, left.because), (None, Some(came.entry)));
    }
    let report = sound(&options.folder);
    assert_eq!(
        (report.files, report.entries, report.last),
        (3, 600, Some(600))
    );
    for (_, path) in folder::files(&options.folder).unwrap() {
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn any_flipped_octet_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    for _ in 0..2 {
        let mut timeline = start(&options);
        for number in 0..20 {
            timeline.received(&flow("192.0.2.9:5060"), &message(number), Instant::now());
        }
        timeline.finish();
    }
    sound(&options.folder);
    for (_, path) in folder::files(&options.folder).unwrap() {
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(37).chain([0, whole.len() - 1]) {
            let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[whole[at] ^ 1]).unwrap();
            let report = verify(&options.folder, None).unwrap();
            // The last newline of the newest file looks like a line that is being written.
            let found = report.first_break.is_some() || report.unfinished;
            assert!(found, "octet {at} of {}", path.display());
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&whole[at..=at]).unwrap();
        }
        sound(&options.folder);
    }
}

#[test]
fn a_removed_or_doubled_line_and_a_removed_file_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    for _ in 0..3 {
        let mut timeline = start(&options);
        for number in 0..10 {
            timeline.received(&flow("192.0.2.9:5060"), &message(number), Instant::now());
        }
        timeline.finish();
    }
    let files = folder::files(&options.folder).unwrap();
    let text = fs::read_to_string(&files[1].1).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let without = [&lines[..4], &lines[5..]].concat().concat();
    let doubled = [&lines[..5], &lines[4..]].concat().concat();
    let shortened = lines[..9].concat();
    for changed in [without, doubled, shortened] {
        fs::write(&files[1].1, changed).unwrap();
        let report = verify(&options.folder, None).unwrap();
        assert!(report.first_break.is_some(), "{report:?}");
    }
    fs::write(&files[1].1, text).unwrap();
    sound(&options.folder);
    fs::remove_file(&files[1].1).unwrap();
    let broken = verify(&options.folder, None).unwrap().first_break.unwrap();
    assert_eq!((broken.line, broken.after), (1, Some(10)));
    // The oldest may go: that is how room is made.
    fs::remove_file(&files[0].1).unwrap();
    assert_eq!(sound(&options.folder).first, Some(21));
}

#[test]
fn what_a_power_cut_tore_is_said_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let mut timeline = start(&options);
    for number in 0..10 {
        timeline.received(&flow("192.0.2.9:5060"), &message(number), Instant::now());
    }
    timeline.finish();
    let (_, path) = folder::files(&options.folder).unwrap().remove(0);
    let whole = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(whole - 30).unwrap();
    file.set_len(whole + 4_000).unwrap();
    let mut timeline = start(&options);
    timeline.received(&flow("192.0.2.9:5060"), &message(99), Instant::now());
    timeline.finish();
    let report = sound(&options.folder);
    assert_eq!(
        (report.entries, report.torn, report.last),
        (10, 1, Some(10))
    );
}

#[test]
fn a_disk_that_fails_costs_entries_which_the_chain_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    // A file where the folder should be.
    fs::write(&options.folder, "in the way").unwrap();
    let mut timeline = start(&options);
    let figures = Arc::clone(&timeline.figures);
    for number in 0..10 {
        timeline.received(&flow("192.0.2.9:5060"), &message(number), Instant::now());
    }
    let patience = Instant::now() + Duration::from_secs(20);
    while figures.lost[0].load(Ordering::Relaxed) < 10 {
        assert!(Instant::now() < patience);
        std::thread::yield_now();
    }
    fs::remove_file(&options.folder).unwrap();
    let mut sent = 10;
    while figures.entries.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < patience);
        timeline.received(&flow("192.0.2.9:5060"), &message(sent), Instant::now());
        sent += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    timeline.finish();
    let report = sound(&options.folder);
    assert!(report.missed >= 10);
    assert_eq!(report.missed + report.entries - 1, sent as u64);
    assert_eq!(report.last, Some(sent as u64));
    options.folder.clear();
}

#[test]
fn a_flood_of_one_sender_does_not_push_out_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let (mut timeline, now) = (start(&options), Instant::now());
    for number in 0..6_000 {
        timeline.received(&flow("192.0.2.66:5060"), &message(number), now);
    }
    timeline.received(&flow("192.0.2.9:5060"), &message(1), now);
    timeline.finish();
    let all = entries(&options.folder);
    assert_eq!(all.len(), 2_002);
    let What::Gap(gap) = &all[2_000].what else {
        panic!("{:?}", all[2_000])
    };
    assert_eq!(
        (gap.missed, gap.why.as_str()),
        (4_000, Missed::Flood.name())
    );
}

#[test]
fn it_takes_no_more_room_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let options = TimelineOptions {
        most_bytes: 4_000_000,
        ..options(folder.path())
    };
    let mut timeline = start(&options);
    let long = Bytes::from(
        [
            b"MESSAGE sip:a SIP/2.0\r\n\r\n".to_vec(),
            vec![b'x'; 20_000],
        ]
        .concat(),
    );
    for sender in 0..500 {
        let from = flow(&format!("192.0.2.{}:5060", sender % 250));
        timeline.received(&from, &long, Instant::now());
        if sender % 50 == 0 {
            // As over hours: the writer is not behind.
            while timeline.figures.bytes.load(Ordering::Relaxed) < sender as u64 * 20_000 {
                std::thread::yield_now();
            }
        }
    }
    timeline.finish();
    let files = folder::files(&options.folder).unwrap();
    let bytes: u64 = files
        .iter()
        .map(|(_, path)| fs::metadata(path).unwrap().len())
        .sum();
    assert!((2_000_000..=4_000_000).contains(&bytes), "{bytes}");
    assert_eq!(sound(&options.folder).last, Some(500));
}

#[test]
fn a_reader_follows_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let mut reader = Reader::new(&options.folder);
    assert_eq!(reader.next().unwrap(), None);
    for round in 1..=3 {
        let mut timeline = start(&options);
        timeline.received(&flow("192.0.2.9:5060"), &message(1), Instant::now());
        timeline.finish();
        assert_eq!(reader.next().unwrap().map(|entry| entry.entry), Some(round));
        assert_eq!(reader.next().unwrap(), None);
    }
}

#[test]
fn what_is_not_recorded_costs_nothing_and_leaves_nothing() {
    let mut timeline = Timeline::default();
    timeline.received(&flow("192.0.2.9:5060"), &message(1), Instant::now());
    timeline.turn_over();
    timeline.finish();
}
