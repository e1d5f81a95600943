//! A mixture of flows as a base: what several fits are written as together.

use flowlet::base::ensemble;
use flowlet::base::{LogSum, choose};
use flowlet::elementary::Elementary as Functions;
use flowlet::schema::Record;
use flowlet::{Fixed, Libm, Real};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Base, BaseKind, BaseView};
use crate::image::Image;
use crate::layers::{Layer, View, slice};
use crate::model::architecture::{Elementary, MOST_LAYERS, forever, with_functions};
use crate::net::rows::{Lanes, ROWS};

/// The most members that a description may have.
const MOST_MEMBERS: usize = 256;

/// `Ensemble<D, K, L, B, E>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ensemble {
    /// D.
    pub features: usize,
    /// K.
    pub members: usize,
    /// L.
    pub layers: Box<Layer>,
    /// B.
    pub base: Box<Base>,
    /// Elementary functions of the mixture.
    pub elementary: Elementary,
}

impl Ensemble {
    /// Appends the image of members of equal weights, given their own images.
    pub fn write(members: &[Image], image: &mut Image) {
        let count = members.len() as f64;
        members.iter().for_each(|_| image.f32(-count.ln() as f32));
        // Rounded down, and below 2^32 as a number of an u32 is.
        (1..=members.len()).rev().for_each(|left| image.u32(((left - 1) as f64 / count * 4_294_967_296.0) as u32));
        members.iter().for_each(|member| image.0.extend(&member.0));
    }
}

impl BaseKind for Ensemble {
    fn record(&self) -> &'static Record {
        let parts = (self.layers.schema(), self.base.kind().record());
        let parameters = ensemble::parameters(self.features, self.members, parts, self.elementary.name());
        let fields = ensemble::fields(self.members, parts);
        forever(ensemble::record((self.features, self.members), parts, forever(parameters), forever(fields)))
    }

    fn fits(&self, features: usize) -> bool {
        let directions = self.layers.directions();
        self.features == features
            && (1..=MOST_MEMBERS).contains(&self.members)
            && self.layers.count().is_some_and(|layers| layers <= MOST_LAYERS)
            && self.layers.fits(features, 0)
            && directions.inverse
            && directions.forward
            && self.base.kind().fits(features)
            // Flows of flows of flows have no end, and no use.
            && self.base.kind().flows().is_none()
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
        self.layers.compute_with(elementary);
        self.base.compute_with(elementary);
    }

    fn flows(&self) -> Option<(usize, &Layer)> {
        Some((self.members, &self.layers))
    }

    fn rust_type(&self) -> Option<String> {
        let Self { features, members, elementary, .. } = self;
        let base = match (self.base.kind().rust_type(), elementary) {
            (Some(base), _) => format!(", {base}"),
            (None, Elementary::Libm) => String::new(),
            (None, _) => format!(", StandardNormal<{features}>"),
        };
        let layers = self.layers.rust_type();
        Some(format!("Ensemble<{features}, {members}, {layers}{base}{}>", elementary.suffix()))
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn BaseView + 'a>> {
        let (offset, behind) = (slice(bytes, self.members)?, slice(bytes, self.members)?);
        let mut member = || Some((self.layers.view(bytes)?, self.base.kind().view(bytes)?));
        let members = (0..self.members).map(|_| member()).collect::<Option<_>>()?;
        Some(Box::new(Computed { offset, behind, members, elementary: self.elementary }))
    }
}

#[derive(Debug)]
struct Computed<'a> {
    offset: &'a [f32],
    behind: &'a [u32],
    members: Vec<(Box<dyn View + 'a>, Box<dyn BaseView + 'a>)>,
    elementary: Elementary,
}

impl Computed<'_> {
    /// The log-density, given that of each member.
    fn log_sum<T: Real, E: Functions<T>>(&self, log_probs: impl Iterator<Item = T>) -> T {
        let mut sum = LogSum::default();
        log_probs.zip(self.offset).for_each(|(log_prob, offset)| sum.add::<E>(T::from_f32(*offset) + log_prob));
        sum.ln::<E>()
    }
}

impl BaseView for Computed<'_> {
    fn log_prob(&self, z: &[f32]) -> f32 {
        let log_probs = self.members.iter().map(|(layers, base)| {
            let mut z = z.to_vec();
            let log_det = layers.inverse(&mut z, &[]);
            base.log_prob(&z) + log_det
        });
        with_functions!(self.elementary, E => self.log_sum::<f32, E>(log_probs))
    }

    fn log_prob_f64(&self, z: &[f64]) -> f64 {
        self.log_sum::<f64, Libm>(self.members.iter().map(|(layers, base)| {
            let mut z = z.to_vec();
            let log_det = layers.inverse_f64(&mut z, &[]);
            base.log_prob_f64(&z) + log_det
        }))
    }

    fn log_prob_fixed(&self, z: &[Fixed]) -> Fixed {
        self.log_sum::<Fixed, Libm>(self.members.iter().map(|(layers, base)| {
            let mut z = z.to_vec();
            let log_det = layers.inverse_fixed(&mut z, &[]);
            base.log_prob_fixed(&z) + log_det
        }))
    }

    fn sample(&self, rng: &mut dyn Rng) -> Vec<f32> {
        let (layers, base) = &self.members[choose(self.behind, rng.next_u32())];
        let mut z = base.sample(rng);
        layers.forward(&mut z, &[]);
        z
    }

    fn log_prob_rows(&self, z: &[Lanes<f32>]) -> Lanes<f32> {
        let members = self.members.iter().map(|(layers, base)| {
            let mut z = z.to_vec();
            let log_dets = layers.inverse_rows(&mut z, &[]);
            let mut log_probs = base.log_prob_rows(&z);
            log_probs.iter_mut().zip(log_dets).for_each(|(log_prob, log_det)| *log_prob += log_det);
            log_probs
        });
        let members: Vec<[f32; ROWS]> = members.collect();
        std::array::from_fn(|row| {
            let log_probs = members.iter().map(|member| member[row]);
            with_functions!(self.elementary, E => self.log_sum::<f32, E>(log_probs))
        })
    }
}
