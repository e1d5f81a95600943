//! Which features of a flow interact, found without running it.
//!
//! With S_k the set of data coordinates that base coordinate k can depend on, two features interact if some S_k holds
//! both. A pair that is in no S_k is modelled as independent whatever the parameters, and a feature that no layer
//! transforms is modelled as normal: neither is ever meant, and both fit without an error. So the build stops.
//!
//! The same sets say whether there is an order of the features in which each depends on those before it alone: then
//! the flow is triangular, and its density a product of conditional ones (see [`terms`](crate::terms)).

use crate::conditioner::Masks;
use crate::model_file::LoadError;
use crate::schema::{Field, Mixing, Record, Schema, word_at};
use crate::terms::{NoOrder, Order};

/// The most features a flow can have: one bit each.
pub const MOST_FEATURES: usize = 128;

/// What is known of the coordinates between two layers: `CAPACITY` of them at the most.
pub(crate) struct Tracks<const CAPACITY: usize> {
    features: usize,
    sets: [u128; CAPACITY],
    carries: [u8; CAPACITY],
    gathered: ([u128; CAPACITY], [u8; CAPACITY]),
}

/// What is known of the coordinates between two layers, lent.
#[derive(Debug)]
pub struct Coordinates<'a> {
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

/// Checks the layers of a flow of `features`, each time with those of one of the flows that its base may consist of;
/// `CAPACITY` holds as many or more.
///
/// Where a permutation is data, `image` is the flow's image (its layers come first, then its base); without one, such a flow
/// passes, and its loader calls again with the image.
///
/// # Errors
/// [`LoadError::NeverTransformed`] and [`LoadError::NeverInteract`], naming the features.
pub(crate) const fn check<const CAPACITY: usize>(
    features: usize,
    schema: &Schema,
    base: &Record,
    image: Option<&[u8]>,
) -> Result<(), LoadError> {
    const { assert!(CAPACITY > 0 && CAPACITY <= MOST_FEATURES, "flowlet: a flow has 1 to 128 features") };
    let [.., Field::Flows { times, layers, base: inner }] = base.fields else {
        return check_one::<CAPACITY>(features, schema, None, image);
    };
    let each = layers.size() + inner.size();
    let (mut offset, mut n) = (schema.size() + base.size() - *times * each, 0);
    while n < *times {
        match check_one::<CAPACITY>(features, schema, Some((layers, offset)), image) {
            Ok(()) => (offset, n) = (offset + each, n + 1),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The same of the layers, and of those of one flow of the base, which lie at an offset.
const fn check_one<const CAPACITY: usize>(
    features: usize,
    schema: &Schema,
    member: Option<(&Schema, usize)>,
    image: Option<&[u8]>,
) -> Result<(), LoadError> {
    let mut tracks = Tracks::<CAPACITY>::new(features);
    let mut coordinates = tracks.lend();
    if !coordinates.pass(schema, false, image, 0) {
        return Ok(());
    }
    if let Some((layers, offset)) = member
        && !coordinates.pass(layers, false, image, offset)
    {
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
            if at(&tracks.sets, k) & bit(feature) != 0 {
                together |= at(&tracks.sets, k);
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

/// The order in which the layers of a flow of `features` are triangular; `CAPACITY` holds as many or more. `None`
/// where a permutation is data and there is no `image`.
///
/// # Errors
/// [`NoOrder`], naming two features that depend on each other.
pub(crate) const fn order<const CAPACITY: usize>(
    features: usize,
    schema: &Schema,
    image: Option<&[u8]>,
) -> Result<Option<Order<CAPACITY>>, NoOrder> {
    let mut tracks = Tracks::<CAPACITY>::new(features);
    if !tracks.lend().pass(schema, false, image, 0) {
        return Ok(None);
    }
    match tracks.order() {
        Ok(order) => Ok(Some(order)),
        Err(error) => Err(error),
    }
}

impl<const CAPACITY: usize> Tracks<CAPACITY> {
    /// Of features that no layer has seen yet.
    pub(crate) const fn new(features: usize) -> Self {
        let (mut sets, mut carries) = ([0; CAPACITY], [0; CAPACITY]);
        let mut k = 0;
        while k < features {
            set(&mut sets, k, bit(k));
            set(&mut carries, k, k as u8);
            k += 1;
        }
        Self { features, sets, carries, gathered: ([0; CAPACITY], [0; CAPACITY]) }
    }

    pub(crate) const fn lend(&mut self) -> Coordinates<'_> {
        let (gathered_sets, gathered_carries) = (&mut self.gathered.0, &mut self.gathered.1);
        Coordinates {
            features: self.features,
            sets: &mut self.sets,
            carries: &mut self.carries,
            gathered: (gathered_sets, gathered_carries),
            transformed: 0,
        }
    }

    /// The order in which each coordinate depends on its own feature and on those before it; of several the one
    /// closest to the coordinates'.
    pub(crate) const fn order(&self) -> Result<Order<CAPACITY>, NoOrder> {
        let mut order = Order { features: [0; CAPACITY], coordinates: [0; CAPACITY] };
        let (mut placed, mut n) = (0, 0);
        while n < self.features {
            let mut k = 0;
            while k < self.features && (placed & self.own(k) != 0 || self.others(k) & !placed != 0) {
                k += 1;
            }
            if k == self.features {
                return Err(self.circle(placed));
            }
            placed |= self.own(k);
            set(&mut order.features, n, at(&self.carries, k));
            set(&mut order.coordinates, n, k as u8);
            n += 1;
        }
        Ok(order)
    }

    /// Two features of a circle: none that is not `placed` depends on those that are alone, so whoever follows what
    /// one depends on, from one to the next, ends in a circle.
    const fn circle(&self, placed: u128) -> NoOrder {
        let mut feature = (!placed).trailing_zeros() as usize;
        let (mut other, mut n) = (feature, 0);
        while n <= self.features {
            feature = other;
            let mut k = 0;
            while k < self.features && at(&self.carries, k) as usize != feature {
                k += 1;
            }
            other = (self.others(k) & !placed).trailing_zeros() as usize;
            n += 1;
        }
        let (first, second) = if feature < other { (feature, other) } else { (other, feature) };
        NoOrder { first, second }
    }

    /// The feature that a coordinate carries on.
    const fn own(&self, k: usize) -> u128 {
        bit(at(&self.carries, k) as usize)
    }

    /// What it depends on besides.
    const fn others(&self, k: usize) -> u128 {
        at(&self.sets, k) & !self.own(k)
    }
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
            Mixing::Reverse => self.reverse(),
            Mixing::Permutation => {
                let Some(image) = image else { return false };
                let mut k = 0;
                while k < features {
                    let p = word_at(image, offset + 4 * k) as usize;
                    self.gather(if turned { (p, k) } else { (k, p) });
                    k += 1;
                }
                self.take_gathered();
            }
            Mixing::Dense => {
                self.condition(0, features);
                self.transform_from(0);
            }
            Mixing::Autoregressive { lowest, hidden } => {
                self.autoregress(Masks { features, lowest, hidden }, turned);
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

    /// Turns the order of the coordinates around, as [`Mixing::Reverse`] says.
    pub const fn reverse(&mut self) {
        let mut k = 0;
        while k < self.features / 2 {
            swap(self.sets, k, self.features - 1 - k);
            swap(self.carries, k, self.features - 1 - k);
            k += 1;
        }
    }

    /// Gathers each coordinate from its source, data -> base, as [`Mixing::Permutation`] says.
    pub const fn permute(&mut self, source: &[u32]) {
        let (mut rest, mut k) = (source, 0);
        while let [from, behind @ ..] = rest {
            self.gather((k, *from as usize));
            (rest, k) = (behind, k + 1);
        }
        self.take_gathered();
    }

    const fn gather(&mut self, (to, from): (usize, usize)) {
        set(self.gathered.0, to, at(self.sets, from));
        set(self.gathered.1, to, at(self.carries, from));
    }

    const fn take_gathered(&mut self) {
        let mut k = 0;
        while k < self.features {
            set(self.sets, k, at(self.gathered.0, k));
            set(self.carries, k, at(self.gathered.1, k));
            k += 1;
        }
    }

    /// Conditions each coordinate on those before it that its mask shows, as [`Mixing::Autoregressive`] says; turned,
    /// of a layer whose net sees its outputs.
    pub const fn autoregress(&mut self, masks: Masks, turned: bool) {
        // Turned, what a coordinate is conditioned on are outputs: those before it are final already.
        let mut n = 0;
        while n < self.features {
            let k = if turned { n } else { self.features - 1 - n };
            let conditioning = self.union(masks.visible(k));
            set(self.sets, k, at(self.sets, k) | conditioning);
            n += 1;
        }
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

pub(crate) const fn at<T: Zero>(slice: &[T], index: usize) -> T {
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
pub(crate) trait Zero: Copy {
    const ZERO: Self;
}

impl Zero for u8 {
    const ZERO: Self = 0;
}

impl Zero for u128 {
    const ZERO: Self = 0;
}
