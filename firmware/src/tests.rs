//! Whole conversations with the application, on the host.

extern crate std;

use std::string::ToString;
use std::vec::Vec;
use std::{format, vec};

use flowlet::monitor::{State, Status, Suspect};
use flowlet::{Assessment, ReadingError};

use crate::frame::{self, MAX_RESPONSE};
use crate::message::{MalformedCounts, Named, Refusal, Request, Response, SUSPECTS, Statistics, StreamState};
use crate::{Action, Alarm, Application, Inbox, Malformed, Measured, Receiver, Ticks, Watch, Watching};

const D: usize = 3;
const N: usize = frame::max_request(D);

type Host<'a> = Request<&'a [f32]>;

/// A scorer whose answers are easy to predict: the sum, with an alarm above 10.
fn sum(reading: &[f32; D]) -> Result<Assessment, ReadingError> {
    if let Some(feature) = reading.iter().position(|value| !value.is_finite()) {
        return Err(ReadingError::NotFinite { feature });
    }
    let sum = reading.iter().sum();
    Ok(Assessment { log_prob: sum, p_value: 1.0 / sum, alarm: sum > 10.0 })
}

type Device = Application<fn(&[f32; D]) -> Result<Assessment, ReadingError>, D, N>;

fn device() -> Device {
    Application::new(sum)
}

fn encode(request: &Host<'_>) -> Vec<u8> {
    frame::encode::<_, 512>(request).expect("it fits").to_vec()
}

fn reading(sequence: u32, values: &[f32]) -> Vec<u8> {
    encode(&Request::Reading { sequence, values })
}

fn feed(device: &mut Device, bytes: &[u8]) -> Vec<Action> {
    bytes.iter().filter_map(|&byte| device.push(byte)).collect()
}

fn malformed(kind: Malformed) -> Action {
    Action::Reply(Response::Malformed(kind))
}

#[test]
fn readings_are_answered_and_counted() {
    let mut device = device();
    let actions = feed(
        &mut device,
        &[reading(7, &[1.0, 2.0, 3.0]), reading(8, &[4.0, 5.0, 6.0]), encode(&Request::Stop)].concat(),
    );
    let assessed = |sequence, sum: f32, alarm| {
        Action::Reply(Response::Assessment { sequence, log_prob: sum, p_value: 1.0 / sum, alarm })
    };
    assert_eq!(actions, [assessed(7, 6.0, false), assessed(8, 15.0, true), Action::Stop]);
    let expected = Statistics { readings: 2, alarms: 1, last: Alarm::Anomalous, ..Statistics::default() };
    assert_eq!(feed(&mut device, &encode(&Request::Statistics)), [Action::Reply(Response::Statistics(expected))]);
}

#[test]
fn a_sensor_fault_is_refused_and_never_normal() {
    let mut device = device();
    for (position, value) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().enumerate() {
        let mut values = [1.0; D];
        values[position] = value;
        let reason = Refusal::NotFinite { feature: position as u32 };
        assert!(reason.to_string().starts_with("sensor fault"));
        assert_eq!(feed(&mut device, &reading(1, &values)), [Action::Reply(Response::Refused { sequence: 1, reason })]);
    }
    assert_eq!((device.statistics().refused, device.statistics().readings), (3, 0));
}

#[test]
fn a_fault_replaces_what_the_reading_before_it_said() {
    let mut device = device();
    let (normal, anomalous, faulty) = ([1.0; D], [9.0; D], [f32::NAN; D]);
    for (values, last) in [
        (&normal[..], Alarm::Normal),
        (&faulty, Alarm::Fault),
        (&faulty, Alarm::Fault),
        (&normal, Alarm::Normal),
        (&anomalous, Alarm::Anomalous),
        (&faulty, Alarm::Fault),
        (&anomalous, Alarm::Anomalous),
        (&normal[1..], Alarm::Fault),
    ] {
        feed(&mut device, &reading(1, values));
        assert_eq!(device.statistics().last, last, "after {values:?}");
    }
    // A frame that cannot be read says nothing about the sensors.
    feed(&mut device, &[1, 1, 0]);
    assert_eq!(device.statistics().last, Alarm::Fault);
}

#[test]
fn a_reading_of_the_wrong_length_is_refused_with_both_lengths() {
    for found in [0, 1, 2, 4] {
        let reason = Refusal::WrongLength { expected: 3, found };
        let values = vec![0.0; found as usize];
        // One value too many makes the frame four bytes longer, for which small numbers leave room.
        let actions = feed(&mut device(), &reading(9, &values));
        assert_eq!(actions, [Action::Reply(Response::Refused { sequence: 9, reason })], "{found} values");
    }
    assert_eq!(feed(&mut device(), &reading(9, &[0.5; 20])), [malformed(Malformed::TooLong)]);
}

#[test]
fn every_flipped_bit_is_found_and_the_next_frame_is_read() {
    let good = reading(5, &[1.0, 2.0, 4.0]);
    let answer = feed(&mut device(), &good);
    for position in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[position] ^= 1 << bit;
            // A delimiter as well, lest a damaged one joins two frames.
            let stream = [&bad[..], &[0], &good[..]].concat();
            let mut device = device();
            let actions = feed(&mut device, &stream);
            let (last, before) = actions.split_last().expect("the good frame is answered");
            assert_eq!([*last], answer[..]);
            assert!(
                !before.is_empty()
                    && before.iter().all(|action| matches!(action, Action::Reply(Response::Malformed(_))))
            );
            assert_eq!(device.statistics().malformed.total() as usize, before.len());
        }
    }
}

#[test]
fn every_cut_is_found_and_the_next_frame_is_read() {
    let good = reading(5, &[1.0, 2.0, 4.0]);
    let answer = feed(&mut device(), &good);
    for length in 1..good.len() - 1 {
        let stream = [&good[..length], &[0], &good[..]].concat();
        let actions = feed(&mut device(), &stream);
        assert_eq!(actions.len(), 2, "cut to {length}");
        assert_eq!(actions[1..], answer[..]);
        // Joined with the next frame it spoils that one, and the one after is read.
        let joined = [&good[..length], &good[..], &good[..]].concat();
        assert_eq!(feed(&mut device(), &joined).last(), answer.last());
    }
}

#[test]
fn malformed_frames_are_told_apart() {
    let checked = |body: &[u8]| {
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(body).to_le_bytes();
        let mut frame = vec![0; 64];
        let used = cobs::try_encode(&[body, &checksum].concat(), &mut frame).expect("it fits");
        frame.truncate(used);
        frame.push(0);
        frame
    };
    let mut device = device();
    for (frame, kind) in [
        (vec![1; N + 1], Malformed::TooLong),
        (vec![9, 1, 1], Malformed::Cobs),
        (vec![2, 1], Malformed::Crc),
        (vec![6, 1, 2, 3, 4, 5], Malformed::Crc),
        (checked(&[]), Malformed::Content),
        (checked(&[4]), Malformed::Content),
        // A request with a byte behind it.
        (checked(&[1, 0]), Malformed::Content),
        // A reading that claims four billion values.
        (checked(&[0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]), Malformed::Content),
    ] {
        assert_eq!(feed(&mut device, &[&frame[..], &[0]].concat()), [malformed(kind)], "{frame:?}");
    }
    let expected = MalformedCounts { too_long: 1, cobs: 1, crc: 2, content: 4 };
    assert_eq!(device.statistics().malformed, expected);
    assert_eq!(feed(&mut device, &checked(&[2])), [Action::Stop]);
}

#[test]
fn an_inbox_is_served_in_order_until_the_host_says_stop() {
    let inbox = Inbox::<128>::new();
    let (good, after) = (reading(1, &[1.0, 2.0, 3.0]), reading(2, &[1.0; D]));
    let stream = [&[7, 0][..], &good, &encode(&Request::Statistics), &encode(&Request::Stop), &after].concat();
    assert!(stream.len() <= 128);
    stream.iter().for_each(|&byte| inbox.push(byte));
    inbox.note_overrun();

    let mut device = device();
    let mut sent = Vec::new();
    let never = || panic!("there are bytes until the end");
    device.serve(&inbox, never, |frame| {
        let (delimiter, frame) = frame.split_last().expect("not empty");
        assert_eq!(*delimiter, frame::DELIMITER);
        sent.push(frame::decode::<Response>(&mut frame.to_vec()).expect("a response"));
    });
    let expected = Statistics { readings: 1, lost_bytes: 1, ..device.statistics() };
    assert_eq!(
        sent,
        [
            Response::Malformed(Malformed::Cobs),
            Response::Assessment { sequence: 1, log_prob: 6.0, p_value: 1.0 / 6.0, alarm: false },
            Response::Statistics(expected),
        ]
    );
    // What follows is left for whoever serves next: a board may ignore that it was told to stop.
    assert_eq!([(); 3].map(|()| inbox.wait(never)), after[..3]);
}

#[test]
fn silence_says_nothing() {
    assert_eq!(feed(&mut device(), &[0; 100]), []);
}

#[test]
fn no_bytes_upset_the_device() {
    // Xorshift (Marsaglia, 2003). Zeros and small numbers are frequent, so that many frames get past COBS.
    let mut state = 1u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut device = device();
    let good = reading(5, &[1.0, 2.0, 4.0]);
    let answer = feed(&mut device, &good);
    for _ in 0..20_000 {
        let length = next() % 40;
        let small = next() % 2 == 0;
        let garbage: Vec<u8> = (0..length).map(|_| if small { next() % 6 } else { next() } as u8).collect();
        feed(&mut device, &garbage);
        feed(&mut device, &[0]);
        assert_eq!(feed(&mut device, &good), answer, "after {garbage:?}");
    }
    let statistics = device.statistics();
    assert!(statistics.malformed.cobs > 1000 && statistics.malformed.crc > 1000, "{statistics:?}");
}

#[test]
fn lost_bytes_are_reported() {
    let mut device = device();
    device.note_lost_bytes(3);
    assert_eq!(device.statistics().lost_bytes, 3);
}

#[test]
fn the_largest_messages_fit() {
    let all = u32::MAX;
    let statistics = Statistics {
        readings: all,
        alarms: all,
        refused: all,
        last: Alarm::Fault,
        malformed: MalformedCounts { too_long: all, cobs: all, crc: all, content: all },
        lost_bytes: all,
        measured: Measured { stack: Some(all), ticks: Some(Ticks { calls: all, total: u64::MAX, max: all }) },
    };
    for response in [
        Response::Statistics(statistics),
        Response::Refused { sequence: all, reason: Refusal::WrongLength { expected: all, found: all } },
        Response::Assessment { sequence: all, log_prob: f32::MIN, p_value: f32::MAX, alarm: true },
    ] {
        let frame = frame::encode::<_, MAX_RESPONSE>(&response).expect("it fits");
        let mut receiver = Receiver::<MAX_RESPONSE>::new();
        let received: Vec<Response> = frame
            .iter()
            .filter_map(|&byte| {
                receiver.push(byte).map(|frame| frame::decode(frame.expect("whole")).expect("a response"))
            })
            .collect();
        assert_eq!(received, [response]);
    }
    let largest = frame::encode::<_, N>(&Host::Reading { sequence: all, values: &[f32::MAX; D] });
    assert!(largest.is_ok_and(|frame| frame.len() <= N));
    let error = frame::encode::<_, 8>(&Host::Reading { sequence: all, values: &[0.0; D] }).expect_err("too small");
    assert_eq!(error.capacity, 8);
}

/// The bytes of WIRE.md.
#[test]
fn the_wire_format_is_pinned() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let request = |request: Host<'_>| hex(&encode(&request));
    let response = |response: Response| hex(&frame::encode::<_, MAX_RESPONSE>(&response).expect("it fits"));
    let none = Named { feature: 0, ratio: 0.0, above: false };
    let pinned = [
        request(Request::Reading { sequence: 300, values: &[1.0, -2.5] }),
        request(Request::Statistics),
        request(Request::Stop),
        request(Request::Verify),
        response(Response::Verified { sound: true }),
        response(Response::Taken { sequence: 300 }),
        response(Response::Watched {
            sequence: 300,
            state: StreamState::Alarm,
            score: Some((-12.25, 0.25)),
            count: 2,
            cusum: 6.5,
            martingale: 1.5,
            suspects: Some([Named { feature: 1, ratio: 30.5, above: true }, none, none]),
        }),
        response(Response::Assessment { sequence: 300, log_prob: -12.25, p_value: 0.25, alarm: true }),
        response(Response::Refused { sequence: 300, reason: Refusal::NotFinite { feature: 1 } }),
        response(Response::Malformed(Malformed::Crc)),
        response(Response::Statistics(Statistics {
            readings: 1000,
            alarms: 2,
            refused: 3,
            last: Alarm::Fault,
            measured: Measured { stack: Some(480), ticks: None },
            ..Statistics::default()
        })),
    ];
    let document = include_str!("../WIRE.md");
    let missing: Vec<_> = pinned.iter().filter(|bytes| !document.contains(&format!("`{bytes}`"))).collect();
    assert!(missing.is_empty(), "WIRE.md does not say {missing:#?}");
}

/// Every second sample completes a reading, and the fourth raises the alarm.
struct Fake {
    samples: u32,
    fit: bool,
}

impl Watch<D> for Fake {
    fn watch(&mut self, sample: &[f32; D]) -> Option<Status> {
        self.samples += 1;
        let state = if self.samples == 4 { State::Alarm } else { State::Normal };
        let outcome = Ok(Assessment { log_prob: sample[0], p_value: 0.5, alarm: false });
        let changed = self.samples == 4;
        self.samples.is_multiple_of(2).then_some(Status {
            state,
            changed,
            outcome,
            count: 1,
            cusum: 2.0,
            martingale: 3.0,
        })
    }

    fn attribute(&self) -> Option<[Suspect; SUSPECTS]> {
        Some([Suspect { feature: 2, ratio: 1.0, expected: 0.0, above: true }; SUSPECTS])
    }

    fn name(&self, _: usize) -> &'static str {
        "pressure"
    }

    fn is_fit(&self) -> bool {
        self.fit
    }
}

fn watched(application: &mut Watching<Fake, D, 64>, request: &Host<'_>) -> Option<Response> {
    let frame = encode(request);
    frame.iter().find_map(|byte| application.push(*byte)).expect("an answer")
}

#[test]
fn samples_become_states_and_an_alarm_names_its_sensors() {
    let mut application = Watching::<Fake, D, 64>::new(Fake { samples: 0, fit: true });
    let mut sample =
        |sequence| watched(&mut application, &Request::Reading { sequence, values: &[1.5, 0.0, 0.0] }).expect("no end");
    assert_eq!(sample(1), Response::Taken { sequence: 1 });
    let normal = sample(2);
    let Response::Watched { sequence: 2, state: StreamState::Normal, score, suspects: None, .. } = normal else {
        panic!("{normal:?}");
    };
    assert_eq!(score, Some((1.5, 0.5)));
    sample(3);
    let alarm = sample(4);
    let Response::Watched { state: StreamState::Alarm, suspects: Some(suspects), .. } = alarm else {
        panic!("{alarm:?}");
    };
    assert_eq!(suspects[0], Named { feature: 2, ratio: 1.0, above: true });
    let statistics = application.statistics();
    assert_eq!((statistics.readings, statistics.alarms, statistics.last), (2, 1, Alarm::Anomalous));
    let short = watched(&mut application, &Request::Reading { sequence: 9, values: &[1.0] });
    assert_eq!(short, Some(Response::Refused { sequence: 9, reason: Refusal::WrongLength { expected: 3, found: 1 } }));
    assert_eq!(watched(&mut application, &Request::Stop), None);
}

#[test]
fn an_unfit_model_refuses_every_sample() {
    let mut application = Watching::<Fake, D, 64>::new(Fake { samples: 0, fit: false });
    let refused = watched(&mut application, &Request::Reading { sequence: 1, values: &[0.0; D] });
    assert_eq!(refused, Some(Response::Refused { sequence: 1, reason: Refusal::Damaged }));
    assert_eq!(watched(&mut application, &Request::Verify), Some(Response::Verified { sound: false }));
}
