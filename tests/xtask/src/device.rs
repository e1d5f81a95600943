//! Streams readings to the firmware on an emulated device, over its UART, and takes its answers.

use std::collections::VecDeque;

use anyhow::{Context, Result, ensure};
use flowlet::Assessment;
use flowlet_firmware::frame;
use flowlet_firmware::message::{Refusal, Request, Response, Statistics};
use flowlet_tests::emulator::{self, Backend, Image, Outcome, Peer};
use flowlet_trainer::data::Matrix;
use indicatif::ProgressBar;

/// Readings that are under way at once: few enough for the device's queue, and enough that it never waits.
const WINDOW: usize = 4;

/// What the device made of a reading.
pub type Answer = Result<Assessment, Refusal>;

/// What came back.
pub struct Answers {
    /// One for each reading, in order.
    pub answers: Vec<Answer>,
    /// What the device counted.
    pub statistics: Statistics,
    /// How the run ended.
    pub outcome: Outcome,
}

/// Sends all readings, then asks for the statistics and stops the device.
pub fn stream(backend: Backend, image: &Image, readings: &Matrix, progress: &ProgressBar) -> Result<Answers> {
    let mut host = Host {
        readings,
        answers: Vec::new(),
        sent: 0,
        ended: false,
        statistics: None,
        outgoing: VecDeque::new(),
        incoming: Vec::new(),
        trouble: None,
        progress,
    };
    let options = emulator::Options { count: Some("flowlet_score".to_owned()), ..emulator::Options::default() };
    let outcome = emulator::run(backend, image, &mut host, &options)?.check()?;
    host.trouble.map_or(Ok(()), Err)?;
    ensure!(
        host.answers.len() == readings.rows(),
        "the device answered {} of {} readings",
        host.answers.len(),
        readings.rows()
    );
    let statistics = host.statistics.context("the device sent no statistics")?;
    Ok(Answers { answers: host.answers, statistics, outcome })
}

struct Host<'a> {
    readings: &'a Matrix,
    answers: Vec<Answer>,
    sent: usize,
    ended: bool,
    statistics: Option<Statistics>,
    outgoing: VecDeque<u8>,
    incoming: Vec<u8>,
    trouble: Option<anyhow::Error>,
    progress: &'a ProgressBar,
}

impl Host<'_> {
    fn send(&mut self, request: &Request<&[f32]>) {
        // The largest request of any model: 128 features.
        match frame::encode::<_, { frame::max_request(128) }>(request) {
            Ok(frame) => self.outgoing.extend(frame),
            Err(error) => self.trouble = Some(error.into()),
        }
    }

    fn next(&mut self) {
        let readings = self.readings;
        if self.sent < readings.rows() {
            if self.sent < self.answers.len() + WINDOW {
                self.send(&Request::Reading { sequence: self.sent as u32, values: readings.row(self.sent) });
                self.sent += 1;
            }
        } else if !self.ended && self.answers.len() == readings.rows() {
            self.ended = true;
            self.send(&Request::Statistics);
            self.send(&Request::Stop);
        }
    }

    fn answer(&mut self, sequence: u32, answer: Answer) -> Result<()> {
        ensure!(sequence as usize == self.answers.len(), "the device answered reading {sequence} out of turn");
        self.answers.push(answer);
        self.progress.inc(1);
        Ok(())
    }

    fn take(&mut self, response: Response) -> Result<()> {
        match response {
            Response::Assessment { sequence, log_prob, p_value, alarm } => {
                self.answer(sequence, Ok(Assessment { log_prob, p_value, alarm }))
            }
            Response::Refused { sequence, reason } => self.answer(sequence, Err(reason)),
            Response::Malformed(kind) => anyhow::bail!("the device received a malformed frame: {kind}"),
            Response::Statistics(statistics) => {
                self.statistics = Some(statistics);
                Ok(())
            }
        }
    }
}

impl Peer for Host<'_> {
    fn transmit(&mut self) -> Option<u8> {
        if self.outgoing.is_empty() {
            self.next();
        }
        self.outgoing.pop_front()
    }

    fn receive(&mut self, byte: u8) {
        if byte != frame::DELIMITER {
            self.incoming.push(byte);
            return;
        }
        let result = match frame::decode(&mut self.incoming) {
            Ok(response) => self.take(response),
            Err(kind) => Err(anyhow::anyhow!("the device sent a malformed frame: {kind}")),
        };
        self.incoming.clear();
        if let Err(trouble) = result {
            self.trouble.get_or_insert(trouble);
        }
    }
}
