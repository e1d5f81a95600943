//! A stream that is watched: `cargo run --package flowlet-firmware --example watch`.

use flowlet::monitor::{State, Suspect};

mod stream {
    include!("stream.rs"); // written by `flowlet monitor`, and reads stream.flow beside it
}

struct Watcher {
    signal: stream::Signal, // both have a const `new`: a Watcher may be a static
    monitor: stream::Monitor,
}

impl Watcher {
    /// Takes a sample; on entering the alarm, the three sensors that explain it best.
    fn take(&mut self, sample: &[f32; stream::CHANNELS]) -> Option<[Suspect; 3]> {
        let status = stream::MODEL.watch(&mut self.signal, &mut self.monitor, sample, &[])?;
        if status.changed && status.state == State::Alarm {
            return stream::MODEL.attribute(&self.monitor, &[]).ok();
        }
        None
    }
}

fn main() {
    let mut watcher = Watcher { signal: stream::Signal::new(), monitor: stream::Monitor::new() };
    let usual = [35.582, 41.234, 38.426, 30.566, 0.541, 46.424, 2.126, 67.918];
    for second in 0..60 {
        // Sensors are never still: these would count as stuck.
        let mut sample = usual.map(|value| value * (1.0 + 1e-4 * (second % 7) as f32));
        // The cooling power falls away.
        sample[6] -= if second >= 40 { 0.1 * (second - 40) as f32 } else { 0.0 };
        for suspect in watcher.take(&sample).iter().flatten() {
            let name = stream::FEATURES[suspect.feature];
            let side = if suspect.above { "above" } else { "below" };
            println!("second {second}: {name} is {side} what the others suggest, {:.1} nats", suspect.ratio);
        }
    }
}
