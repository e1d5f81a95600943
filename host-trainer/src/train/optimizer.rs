//! Adam with decoupled weight decay, its learning rate and its gradient clip.

use super::vectors::vectorize;

/// Adam, "Adam: a method for stochastic optimization" (Kingma, Ba 2015), algorithm 1, with the decoupled decay of
/// "Decoupled weight decay regularization" (Loshchilov, Hutter 2019), algorithm 2.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
    /// Per parameter.
    decay: Vec<f32>,
    steps: i32,
}

impl Adam {
    const BETA_1: f32 = 0.9;
    const BETA_2: f32 = 0.999;
    const EPSILON: f32 = 1e-8;

    /// For as many parameters as `decayed` marks; the others are not decayed.
    pub fn new(decayed: &[bool], weight_decay: f32) -> Self {
        let decay = decayed.iter().map(|decayed| if *decayed { weight_decay } else { 0.0 }).collect();
        Self { first: vec![0.0; decayed.len()], second: vec![0.0; decayed.len()], decay, steps: 0 }
    }

    /// Moves `parameters` one step against `gradient`.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], learning_rate: f32) {
        self.steps = self.steps.saturating_add(1);
        let rate = learning_rate / (1.0 - Self::BETA_1.powi(self.steps));
        let second_correction = 1.0 / (1.0 - Self::BETA_2.powi(self.steps));
        let Self { first, second, decay, .. } = self;
        vectorize(
            #[inline(always)]
            || {
                for ((((parameter, gradient), first), second), decay) in
                    parameters.iter_mut().zip(gradient).zip(first).zip(second).zip(decay)
                {
                    *first = Self::BETA_1 * *first + (1.0 - Self::BETA_1) * gradient;
                    *second = Self::BETA_2 * *second + (1.0 - Self::BETA_2) * gradient * gradient;
                    let kept = 1.0 - learning_rate * *decay;
                    *parameter =
                        *parameter * kept - rate * *first / ((*second * second_correction).sqrt() + Self::EPSILON);
                }
            },
        );
    }
}

/// Linear warm-up, then half a cosine down to zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f32,
    /// Steps until it is reached.
    pub warm_up: usize,
    /// Steps until it is zero.
    pub total: usize,
}

impl Schedule {
    /// The learning rate of a step, counted from 0.
    pub fn learning_rate(&self, step: usize) -> f32 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f32 / self.warm_up as f32;
        }
        let progress = (step - self.warm_up) as f32 / self.total.saturating_sub(self.warm_up).max(1) as f32;
        0.5 * self.peak * (1.0 + (std::f32::consts::PI * progress.min(1.0)).cos())
    }
}

/// Scales a gradient down to the given Euclidean norm if it is longer; returns the norm it had.
pub fn clip_norm(gradient: &mut [f32], limit: f32) -> f32 {
    let norm = vectorize(
        #[inline(always)]
        || {
            let (chunks, rest) = gradient.as_chunks::<8>();
            let mut sums = [0.0_f64; 8];
            for chunk in chunks {
                for (sum, g) in sums.iter_mut().zip(chunk) {
                    *sum += f64::from(*g) * f64::from(*g);
                }
            }
            let rest = rest.iter().map(|g| f64::from(*g) * f64::from(*g));
            sums.into_iter().chain(rest).sum::<f64>().sqrt() as f32
        },
    );
    if norm > limit {
        let factor = limit / norm;
        gradient.iter_mut().for_each(|g| *g *= factor);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first step of Adam is the learning rate against the gradient's sign, whatever its size.
    #[test]
    fn first_step_has_the_learning_rates_length() {
        let mut parameters = [1.0, 1.0, 1.0];
        Adam::new(&[false; 3], 0.1).step(&mut parameters, &[1e-3, -50.0, 0.0], 0.01);
        for (parameter, expected) in parameters.iter().zip([0.99, 1.01, 1.0]) {
            assert!((parameter - expected).abs() < 1e-6, "{parameter} {expected}");
        }
    }

    #[test]
    fn decay_is_decoupled_and_masked() {
        let mut parameters = [2.0, 2.0];
        Adam::new(&[true, false], 0.5).step(&mut parameters, &[0.0, 0.0], 0.1);
        assert_eq!(parameters, [1.9, 2.0]);
    }

    #[test]
    fn finds_the_minimum_of_an_ill_conditioned_bowl() {
        let mut parameters = [3.0f32, -2.0];
        let mut adam = Adam::new(&[false; 2], 0.0);
        let schedule = Schedule { peak: 0.1, warm_up: 10, total: 2000 };
        for step in 0..2000 {
            let gradient = [200.0 * (parameters[0] - 1.0), 0.02 * (parameters[1] - 1.0)];
            adam.step(&mut parameters, &gradient, schedule.learning_rate(step));
        }
        assert!(parameters.iter().all(|p| (p - 1.0).abs() < 1e-3), "{parameters:?}");
    }

    #[test]
    fn schedule_rises_peaks_and_ends_at_zero() {
        let schedule = Schedule { peak: 2.0, warm_up: 4, total: 104 };
        assert_eq!(schedule.learning_rate(0), 0.5);
        assert_eq!(schedule.learning_rate(3), 2.0);
        assert_eq!(schedule.learning_rate(4), 2.0);
        assert!((schedule.learning_rate(54) - 1.0).abs() < 1e-6);
        assert!(schedule.learning_rate(104).abs() < 1e-6 && schedule.learning_rate(1000).abs() < 1e-6);
        assert!(Schedule { peak: 1.0, warm_up: 0, total: 0 }.learning_rate(0).is_finite());
    }

    #[test]
    fn clipping_keeps_direction_and_short_gradients() {
        let mut long = [3.0, -4.0];
        assert_eq!(clip_norm(&mut long, 1.0), 5.0);
        assert!((long[0] - 0.6).abs() < 1e-6 && (long[1] + 0.8).abs() < 1e-6);
        let mut short = [0.3, 0.4];
        clip_norm(&mut short, 1.0);
        assert_eq!(short, [0.3, 0.4]);
    }
}
