//! Golden vectors (made with an independent stack), and what must hold for any octets.

use proptest::prelude::*;

use super::*;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

fn setup(length: u8, interface: Interface, complete: bool) -> Message {
    let mut elements = vec![
        BearerCapability::SPEECH_A_LAW.encode(),
        ChannelIdentification {
            interface,
            binding: Binding::Exclusive,
            selection: Selection::One(1),
        }
        .encode(),
        Number {
            presentation: Some((Presentation::Allowed, 0)),
            plan: 1,
            ..Number::unknown("107")
        }
        .encode(id::CALLING_NUMBER),
        Number {
            plan: 1,
            ..Number::unknown("4711")
        }
        .encode(id::CALLED_NUMBER),
    ];
    if complete {
        elements.push(Element::sending_complete());
    }
    let reference = CallReference {
        length,
        value: 1,
        origin: Origin::Sender,
    };
    Message::new(reference, MessageType::Setup, elements)
}

fn check(hex: &str, expected: Message) {
    let octets = octets(hex);
    assert_eq!(expected.encode(), octets);
    assert_eq!(Message::decode(&octets), Ok(expected));
}

#[test]
fn the_golden_setups_are_read_and_written_octet_by_octet() {
    check(
        "08 02 0001 05 04 03 8090a3 18 03 a98381 6c 05 0180 313037 70 05 81 34373131 a1",
        setup(2, Interface::PrimaryRate, true),
    );
    // QSIG has no sending complete.
    check(
        "08 02 0001 05 04 03 8090a3 18 03 a98381 6c 05 0180 313037 70 05 81 34373131",
        setup(2, Interface::PrimaryRate, false),
    );
    check(
        "08 01 01 05 04 03 8090a3 18 01 89 6c 05 0180 313037 70 05 81 34373131 a1",
        setup(1, Interface::BasicRate, true),
    );
}

#[test]
fn each_view_comes_back_from_its_element() {
    let channel = |interface, selection| ChannelIdentification {
        interface,
        binding: Binding::Preferred,
        selection,
    };
    for interface in [Interface::BasicRate, Interface::PrimaryRate] {
        for selection in [Selection::None, Selection::Any, Selection::One(2)] {
            let channel = channel(interface, selection);
            let element = channel.encode();
            assert_eq!(
                ChannelIdentification::decode(&element.contents),
                Some(channel)
            );
        }
    }
    let several = channel(Interface::PrimaryRate, Selection::Several(vec![1, 17, 31]));
    let element = several.encode();
    assert_eq!(element.contents, [0xA1, 0x83, 0x01, 0x11, 0x9F]);
    assert_eq!(
        ChannelIdentification::decode(&element.contents),
        Some(several)
    );
    // The same three as a map of slots, and with an interface named.
    for contents in [
        &[0xA1, 0x93, 0x80, 0x02, 0x00, 0x02][..],
        &[0xE1, 0x80, 0x83, 0x01, 0x11, 0x9F],
    ] {
        let read = ChannelIdentification::decode(contents).unwrap();
        assert_eq!(read.selection, Selection::Several(vec![1, 17, 31]));
    }
    for value in 0..=127 {
        let cause = Cause::new(Location::PrivateLocal, CauseValue::new(value).unwrap());
        assert_eq!(Cause::decode(&cause.encode().contents), Some(cause));
    }
    // With octet 3a.
    let cause = Cause::decode(&[0x02, 0x80, 0x90]).unwrap();
    assert_eq!(cause.value, CauseValue::NORMAL_CLEARING);
    let progress = ProgressIndicator {
        location: Location::User,
        description: ProgressDescription::InBand,
    };
    assert_eq!(progress.encode().contents, [0x80, 0x88]);
    assert_eq!(ProgressIndicator::decode(&[0x80, 0x88]), Some(progress));
    let restart = restart_indicator(RestartClass::AllInterfaces);
    assert_eq!(restart.contents, [0x87]);
    assert_eq!(
        RestartClass::decode(&[0x87]),
        Some(RestartClass::AllInterfaces)
    );
    assert_eq!(text(&display("Gate Öst").contents), "Gate ?st");
    assert_eq!(text(&[0xB1, b'H', 0x00, b'i']), "Hi");
}

#[test]
fn codesets_shift_for_one_element_or_for_the_rest() {
    let message =
        Message::decode(&octets("08 01 01 7b 9e 01 01 aa 28 01 41 96 02 00 28 00")).unwrap();
    let found: Vec<(u8, u8)> = message
        .elements
        .iter()
        .map(|element| (element.codeset, element.id))
        .collect();
    assert_eq!(found, [(6, 0x01), (0, 0x28), (6, 0x02), (6, 0x28)]);
    let again = Message::decode(&message.encode()).unwrap();
    assert_eq!(again.elements, message.elements);
}

#[test]
fn a_cut_element_is_left_out_and_said_so() {
    let message = Message::decode(&octets("08 01 81 45 08 02 80 90 28 05 41")).unwrap();
    assert!(message.cut_off);
    assert_eq!(message.elements.len(), 1);
    assert_eq!(message.raw().len(), 11);
}

#[test]
fn what_is_no_message_says_why() {
    let check = |hex, why| assert_eq!(Message::decode(&octets(hex)), Err(why));
    check("", DecodeError::TooShort);
    check("08", DecodeError::TooShort);
    check("08 02 00", DecodeError::TooShort);
    check("08 01 01", DecodeError::TooShort);
    check("03 01 01 05", DecodeError::Discriminator(3));
    check("08 03 00 00 00 05", DecodeError::ReferenceLength(3));
}

#[test]
fn an_unknown_element_that_must_be_comprehended_is_known_as_such() {
    let message = Message::decode(&octets("08 01 01 05 04 03 8090a3 0b 01 00 50 01 00")).unwrap();
    let unknown: Vec<bool> = message
        .elements
        .iter()
        .map(Element::must_be_comprehended)
        .collect();
    assert_eq!(unknown, [false, true, false]);
}

/// Every view on every element: none of them may panic.
pub(crate) fn look_at_everything(message: &Message) {
    for element in &message.elements {
        let contents = &element.contents;
        let _ = BearerCapability::decode(contents).map(BearerCapability::encode);
        let _ = ChannelIdentification::decode(contents).map(|view| view.encode());
        let _ = Number::decode(contents).map(|view| view.encode(element.id));
        let _ = Cause::decode(contents).map(|view| view.encode());
        let _ = ProgressIndicator::decode(contents).map(ProgressIndicator::encode);
        let _ = CallState::decode(contents).map(CallState::encode);
        let _ = RestartClass::decode(contents).map(restart_indicator);
        let _ = NotificationIndicator::decode(contents).map(NotificationIndicator::encode);
        let _ = text(contents);
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_to_what_reads_the_same(
        head in prop_oneof![Just(vec![8, 1, 1]), Just(vec![8, 2, 0x80, 1]), Just(vec![8, 0])],
        rest in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..8, 0x90u8..0xA2], 1..60),
    ) {
        let message = Message::decode(&[head, rest].concat()).unwrap();
        look_at_everything(&message);
        let again = Message::decode(&message.encode()).unwrap();
        prop_assert_eq!(&again.elements, &message.elements);
        prop_assert_eq!(again.reference, message.reference);
        prop_assert_eq!(again.encode(), message.encode());
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(message) = Message::decode(&octets) {
            prop_assert_eq!(message.raw(), octets);
        }
    }

    #[test]
    fn views_are_written_to_what_reads_the_same(contents in proptest::collection::vec(any::<u8>(), 0..8)) {
        if let Some(view) = ChannelIdentification::decode(&contents) {
            prop_assert_eq!(ChannelIdentification::decode(&view.encode().contents), Some(view));
        }
        if let Some(view) = Number::decode(&contents) {
            prop_assert_eq!(Number::decode(&view.encode(id::CALLED_NUMBER).contents), Some(view));
        }
        if let Some(view) = Cause::decode(&contents) {
            prop_assert_eq!(Cause::decode(&view.encode().contents), Some(view));
        }
    }
}
