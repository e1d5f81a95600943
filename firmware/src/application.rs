//! The application: bytes in, answers out.

use flowlet::Assessment;

use crate::frame::{self, MAX_RESPONSE};
use crate::logging::{info, warning};
use crate::message::{Refusal, Request, Response, Statistics, Values};
use crate::{Alarm, Inbox, Malformed, Receiver, Scorer};

/// Assesses the readings of a byte stream with a scorer of `D` features.
///
/// `N` is the longest request in bytes: [`frame::max_request`] of `D`.
#[derive(Clone, Debug)]
pub struct Application<S, const D: usize, const N: usize> {
    scorer: S,
    receiver: Receiver<N>,
    statistics: Statistics,
    sound: bool,
}

/// What is to be done about a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Send this to the host.
    Reply(Response),
    /// End the program, on a board that can.
    Stop,
}

impl<S: Scorer<D>, const D: usize, const N: usize> Application<S, D, N> {
    /// An application that has seen no reading yet. Verifies the model: a damaged one refuses every reading.
    pub fn new(scorer: S) -> Self {
        const { assert!(N >= frame::max_request(D), "N is too small: take frame::max_request(D)") };
        let mut application =
            Self { scorer, receiver: Receiver::new(), statistics: Statistics::default(), sound: true };
        application.verify();
        application
    }

    /// Reads the model, and says whether it is as it was. Once damaged it counts as that until the device starts anew.
    pub fn verify(&mut self) -> bool {
        if self.sound && !self.scorer.is_sound() {
            self.sound = false;
            warning!("the model in flash is damaged: every reading will be refused");
        }
        self.sound
    }

    /// Answers what arrives in the inbox until the host says [`Request::Stop`].
    ///
    /// `sleep` waits for an interrupt, as in [`Inbox::wait`]; `send` takes a frame that is to go out.
    pub fn serve<const Q: usize>(&mut self, inbox: &Inbox<Q>, sleep: impl Fn(), mut send: impl FnMut(&[u8])) {
        loop {
            let byte = inbox.wait(&sleep);
            self.note_lost_bytes(inbox.lost());
            match self.push(byte) {
                Some(Action::Reply(response)) => match frame::encode::<_, MAX_RESPONSE>(&response) {
                    Ok(frame) => send(&frame),
                    // The host hears nothing, and asks again or not: the device goes on.
                    Err(_too_long) => {
                        warning!("an answer is dropped: {}", _too_long);
                    }
                },
                Some(Action::Stop) => return,
                None => {}
            }
        }
    }

    /// Takes one received byte; at the end of a frame there is something to do.
    pub fn push(&mut self, byte: u8) -> Option<Action> {
        let request = match self.receiver.push(byte)? {
            Ok(frame) => frame::decode::<Request<Values<D>>>(frame),
            Err(malformed) => Err(malformed),
        };
        Some(match request {
            Ok(Request::Reading { sequence, values }) => Action::Reply(self.assess(sequence, &values)),
            Ok(Request::Statistics) => Action::Reply(Response::Statistics(self.statistics())),
            Ok(Request::Stop) => Action::Stop,
            Ok(Request::Verify) => Action::Reply(Response::Verified { sound: self.verify() }),
            Err(malformed) => Action::Reply(self.reject(malformed)),
        })
    }

    /// Notes how many received bytes the board has lost since it started.
    pub fn note_lost_bytes(&mut self, since_start: u32) {
        if self.statistics.lost_bytes != since_start {
            warning!("{} received bytes lost: the host sends faster than readings are assessed", since_start);
            self.statistics.lost_bytes = since_start;
        }
    }

    /// What was counted so far.
    pub fn statistics(&self) -> Statistics {
        Statistics { measured: self.scorer.measured(), ..self.statistics }
    }

    fn assess(&mut self, sequence: u32, values: &Values<D>) -> Response {
        let assessment = if self.sound {
            values.get().and_then(|reading| self.scorer.score(reading)).map_err(Refusal::from)
        } else {
            Err(Refusal::Damaged)
        };
        match assessment {
            Ok(Assessment { log_prob, p_value, alarm }) => {
                self.statistics.readings = self.statistics.readings.wrapping_add(1);
                self.statistics.alarms = self.statistics.alarms.wrapping_add(alarm.into());
                let changed = self.statistics.last.update(if alarm { Alarm::Anomalous } else { Alarm::Normal });
                if changed && alarm {
                    warning!("reading {}: alarm, p = {}, log-density {}", sequence, p_value, log_prob);
                } else if changed {
                    info!("reading {}: normal again, p = {}, log-density {}", sequence, p_value, log_prob);
                }
                Response::Assessment { sequence, log_prob, p_value, alarm }
            }
            Err(reason) => {
                self.statistics.refused = self.statistics.refused.wrapping_add(1);
                if self.statistics.last.update(Alarm::Fault) {
                    warning!("reading {}: refused, {}", sequence, reason);
                }
                Response::Refused { sequence, reason }
            }
        }
    }

    fn reject(&mut self, kind: Malformed) -> Response {
        self.statistics.malformed.count(kind);
        warning!("malformed frame: {}", kind);
        Response::Malformed(kind)
    }
}
