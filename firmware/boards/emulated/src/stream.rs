//! Evaluates jobs on models and points that the host sends, one model in RAM at a time.
//!
//! The device asks for what it needs, so nothing is ever sent that it has no room for. Two messages go to the host:
//!
//! ```text
//! '?' n      send the next n bytes (1 to 255) of the stream
//! '=' word   a result: the bits of an f32, least significant byte first; all NaNs are one
//! ```
//!
//! The stream, integers least significant byte first, repeats this until a list of 255 ends it:
//!
//! ```text
//! list: u8, index: u8                  which job
//! length: u32, count: u16              of the model's image in bytes; of the points
//! image                                the job's parameters, evaluated in place
//! points: count x values x f32         each is evaluated when it is there, and its results are sent
//! ```

use flowlet_jobs::{Evaluate, Job, MOST_VALUES};
use zerocopy::IntoBytes;

use crate::board::{self, BUFFER, INBOX, Transmitter};
use crate::end;

/// The bytes of a stream, asked for.
struct Stream(Transmitter);

impl Stream {
    fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(255) {
            self.0.send(&[b'?', part.len() as u8]);
            part.fill_with(|| INBOX.wait(board::sleep));
        }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    fn give(&mut self, result: f32) {
        let result = if result.is_nan() { f32::NAN } else { result };
        let [a, b, c, d] = result.to_le_bytes();
        self.0.send(&[b'=', a, b, c, d]);
    }
}

/// One evaluation. The name and the call are fixed, so that an emulator can count its instructions.
#[allow(unsafe_code, reason = "an unmangled name must be unique, and it is")]
#[unsafe(no_mangle)]
#[inline(never)]
fn flowlet_evaluate(evaluate: Evaluate, image: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize> {
    evaluate(image, point, results)
}

/// Evaluates what the stream asks for.
///
/// # Panics
/// On a stream that is none.
pub fn serve(lists: &[&[Job]]) -> ! {
    let mut stream = Stream(board::start());
    let mut buffer = [0_u32; BUFFER / 4];
    let mut point = [0.0_f32; MOST_VALUES];
    let mut results = [0.0_f32; MOST_VALUES];
    loop {
        let [list] = stream.take();
        if list == 255 {
            end::exit(0)
        }
        let [index] = stream.take();
        let (length, count) = (u32::from_le_bytes(stream.take()) as usize, u16::from_le_bytes(stream.take()));
        let Some(job) = lists.get(usize::from(list)).and_then(|jobs| jobs.get(usize::from(index))) else {
            panic!("there is no job {index} in list {list}");
        };
        assert!(length == job.image, "an image of {} bytes for {}, expected {}", length, job.name, job.image);
        let Some(image) = buffer.as_mut_bytes().get_mut(..length) else {
            panic!("{length} bytes of {} do not fit into RAM", job.name);
        };
        stream.fill(image);
        let point = &mut point[..job.values];
        for _ in 0..count {
            stream.fill(point.as_mut_bytes());
            let Some(found) = flowlet_evaluate(job.evaluate, image, point, &mut results) else {
                panic!("{} cannot be evaluated", job.name);
            };
            results[..found].iter().for_each(|result| stream.give(*result));
        }
    }
}
