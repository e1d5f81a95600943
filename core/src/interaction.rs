//! Which features of a flow interact, found without running it.
//!
//! With S_k the set of data coordinates that base coordinate k can depend on, two features interact if some S_k holds
//! both. A pair that is in no S_k is modelled as independent whatever the parameters, and a feature that no layer
//! transforms is modelled as normal: neither is ever meant, and both fit without an error. So the build stops.

use crate::conditioner::Masks;
use crate::model_file::LoadError;
use crate::schema::{Field, Mixing, Record, Schema, word_at};

/// The most features a flow can have: one bit each.
pub const MOST_FEATURES: usize = 128;

/// What is known of the coordinates between two layers.
struct Coordinates<'a> {
    /// How many.
    features: usize,
    /// S_k of every coordinate k, a bit for each feature.
    sets: &'a mut [u128],
    /// The feature that a coordinate carries on.
    carries: &'a mut [u8],
    /// Where a permutation gathers.
    gathered: (&'a mut [u128], &'a mut [u8]),
    /// The features that some layer has transformed.
    transformed: u128,
}

/// Checks the layers of a flow of `features`; `CAPACITY` holds as many or more.
///
/// Where a permutation is data, `image` is the flow's image (its layers come first); without one, such a flow passes,
/// and its loader calls again with the image.
///
/// # Errors
/// [`LoadError::NeverTransformed`] and [`LoadError::NeverInteract`], naming the features.
pub(crate) const fn check<const CAPACITY: usize>(
    features: usize,
    schema: &Schema,
    image: Option<&[u8]>,
) -> Result<(), LoadError> {
    const { assert!(CAPACITY > 0 && CAPACITY <= MOST_FEATURES, "flowlet: a flow has 1 to 128 features") };
    let (mut sets, mut carries) = ([0; CAPACITY], [0; CAPACITY]);
    let (mut gathered_sets, mut gathered_carries) = ([0; CAPACITY], [0; CAPACITY]);
    let mut k = 0;
    while k < features {
        set(&mut sets, k, bit(k));
        set(&mut carries, k, k as u8);
        k += 1;
    }
    let mut coordinates = Coordinates {
        features,
        sets: &mut sets,
        carries: &mut carries,
        gathered: (&mut gathered_sets, &mut gathered_carries),
        transformed: 0,
    };
    if !coordinates.pass(schema, false, image, 0) {
        return Ok(());
    }
    let transformed = coordinates.transformed;

    let mut feature = 0;
    while feature < features {
        if transformed & bit(feature) == 0 {
            return Err(LoadError::NeverTransformed { feature });
        }
        let mut together = 0;
        let mut k = 0;
        while k < features {
            if at(&sets, k) & bit(feature) != 0 {
                together |= at(&sets, k);
            }
            k += 1;
        }
        let mut other = feature + 1;
        while other < features {
            if together & bit(other) == 0 {
                return Err(LoadError::NeverInteract { first: feature, second: other });
            }
            other += 1;
        }
        feature += 1;
    }
    Ok(())
}

impl Coordinates<'_> {
    /// Passes through `schema`; false when that takes a permutation that is not known yet.
    const fn pass(&mut self, schema: &Schema, turned: bool, image: Option<&[u8]>, offset: usize) -> bool {
        match schema {
            Schema::Layer(record) => self.layer(record, turned, image, offset),
            Schema::Chain(first, second) => {
                let behind = offset + first.size();
                let [(first, offset), (second, behind)] =
                    if turned { [(second, behind), (first, offset)] } else { [(first, offset), (second, behind)] };
                self.pass(first, turned, image, offset) && self.pass(second, turned, image, behind)
            }
            Schema::Repeat(times, layer) => {
                let mut n = 0;
                while n < *times {
                    let index = if turned { *times - 1 - n } else { n };
                    if !self.pass(layer, turned, image, offset + index * layer.size()) {
                        return false;
                    }
                    n += 1;
                }
                true
            }
            Schema::Turned(layer) => self.pass(layer, !turned, image, offset),
            // What the layers inside see of a context concerns no feature.
            Schema::Within(record, layer) => self.pass(layer, turned, image, offset + record.size()),
        }
    }

    const fn layer(&mut self, record: &Record, turned: bool, image: Option<&[u8]>, offset: usize) -> bool {
        let features = self.features;
        match record.mixing {
            Mixing::None | Mixing::Units => {}
            Mixing::Elementwise => self.transform_from(0),
            Mixing::Selected { stride } => {
                let mut k = 0;
                while k < features {
                    // Which ones is left to the loaders.
                    let selected = match image {
                        Some(image) => word_at(image, offset + stride * k) != 0,
                        None => true,
                    };
                    if selected {
                        self.transformed |= bit(at(self.carries, k) as usize);
                    }
                    k += 1;
                }
            }
            Mixing::Reverse => {
                let mut k = 0;
                while k < features / 2 {
                    swap(self.sets, k, features - 1 - k);
                    swap(self.carries, k, features - 1 - k);
                    k += 1;
                }
            }
            Mixing::Permutation => {
                let Some(image) = image else { return false };
                let mut k = 0;
                while k < features {
                    let p = word_at(image, offset + 4 * k) as usize;
                    let (to, from) = if turned { (p, k) } else { (k, p) };
                    set(self.gathered.0, to, at(self.sets, from));
                    set(self.gathered.1, to, at(self.carries, from));
                    k += 1;
                }
                k = 0;
                while k < features {
                    set(self.sets, k, at(self.gathered.0, k));
                    set(self.carries, k, at(self.gathered.1, k));
                    k += 1;
                }
            }
            Mixing::Dense => {
                self.condition(0, features);
                self.transform_from(0);
            }
            Mixing::Autoregressive { lowest, hidden } => {
                // Turned, what a coordinate is conditioned on are outputs: those before it are final already.
                let mut n = 0;
                while n < features {
                    let k = if turned { n } else { features - 1 - n };
                    let conditioning = self.union(Masks { features, lowest, hidden }.visible(k));
                    set(self.sets, k, at(self.sets, k) | conditioning);
                    n += 1;
                }
                self.transform_from(0);
            }
            Mixing::Pointwise { channels } => return self.positions(channels, record, turned, image, offset),
            Mixing::Coupling { kept } => {
                self.condition(kept, kept);
                self.transform_from(kept);
            }
        }
        true
    }

    /// Passes every run of `channels` coordinates through the layer that is nested in the first field of `record`.
    const fn positions(
        &mut self,
        channels: usize,
        record: &Record,
        turned: bool,
        image: Option<&[u8]>,
        offset: usize,
    ) -> bool {
        let [Field::Nested { record: layer, .. }, ..] = record.fields else { return true };
        let (mut sets, mut carries) = (&mut *self.sets, &mut *self.carries);
        // Behind the features are places that no coordinate has.
        let mut left = self.features;
        while channels > 0 && left >= channels {
            left -= channels;
            let Some((position_sets, other_sets)) = sets.split_at_mut_checked(channels) else { break };
            let Some((position_carries, other_carries)) = carries.split_at_mut_checked(channels) else { break };
            let mut position = Coordinates {
                features: channels,
                sets: position_sets,
                carries: position_carries,
                gathered: (&mut *self.gathered.0, &mut *self.gathered.1),
                transformed: self.transformed,
            };
            if !position.layer(layer, turned, image, offset) {
                return false;
            }
            self.transformed = position.transformed;
            (sets, carries) = (other_sets, other_carries);
        }
        true
    }

    /// What the first `count` coordinates depend on together.
    const fn union(&self, count: usize) -> u128 {
        let mut union = 0;
        let mut k = 0;
        while k < count && k < self.features {
            union |= at(self.sets, k);
            k += 1;
        }
        union
    }

    /// The coordinates from `start` on are conditioned on the first `count`.
    const fn condition(&mut self, start: usize, count: usize) {
        let conditioning = self.union(count);
        let mut k = start;
        while k < self.features {
            set(self.sets, k, at(self.sets, k) | conditioning);
            k += 1;
        }
    }

    const fn transform_from(&mut self, start: usize) {
        let mut k = start;
        while k < self.features {
            self.transformed |= bit(at(self.carries, k) as usize);
            k += 1;
        }
    }
}

const fn bit(feature: usize) -> u128 {
    1_u128.wrapping_shl(feature as u32)
}

// Indexing that cannot panic, for const functions that the loaders also run on the device.

const fn at<T: Zero>(slice: &[T], index: usize) -> T {
    match slice.split_at_checked(index) {
        Some((_, [element, ..])) => *element,
        _ => T::ZERO,
    }
}

const fn set<T: Copy>(slice: &mut [T], index: usize, value: T) {
    if let Some((_, [element, ..])) = slice.split_at_mut_checked(index) {
        *element = value;
    }
}

const fn swap<T: Zero>(slice: &mut [T], a: usize, b: usize) {
    let held = at(slice, a);
    set(slice, a, at(slice, b));
    set(slice, b, held);
}

/// What an index out of range reads.
trait Zero: Copy {
    const ZERO: Self;
}

impl Zero for u8 {
    const ZERO: Self = 0;
}

impl Zero for u128 {
    const ZERO: Self = 0;
}
