//! The flow: layers and a base, and the change of variables that makes them a density.

use core::fmt;
use core::marker::PhantomData;

use rand_core::Rng;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::base::{Base, BaseRecord, Independent, StandardNormal};
use crate::bijector::{Forward, Inverse, Layer, Triangular};
use crate::interaction::{self, Tracks};
use crate::model_file::stop;
use crate::real::{Real, Scalar};
use crate::terms::{NoOrder, Order, Term, TermsError, check_slopes};

/// Why a reading has no density. Never to be taken for "normal".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReadingError {
    /// A feature is infinite or NaN: a fault of the sensor or of what reads it.
    NotFinite {
        /// Its index in the reading.
        feature: usize,
    },
    /// A context value is infinite or NaN.
    ContextNotFinite {
        /// Its index in the context.
        index: usize,
    },
    /// The reading has another number of features than the model.
    WrongLength {
        /// Features of the model.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The density is infinite here, as that of a cube at 0.
    Singular,
    /// The density is 0 here: a feature is where its sensor cannot be, as a positive one at 0 or below.
    OutsideSupport,
}

impl fmt::Display for ReadingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { feature } => write!(f, "feature {feature} of the reading is infinite or NaN"),
            Self::ContextNotFinite { index } => write!(f, "value {index} of the context is infinite or NaN"),
            Self::WrongLength { expected, found } => write!(f, "expected {expected} values, found {found}"),
            Self::Singular => f.write_str("the density is infinite at this reading"),
            Self::OutsideSupport => f.write_str("the density is zero at this reading: a feature is out of its range"),
        }
    }
}

impl core::error::Error for ReadingError {}

/// A normalizing flow over `D` features given `C` context values: an exact probability density.
///
/// `L` is the composition of the layers, in the order data -> base: a layer, a [`Chain`](crate::Chain) or an array.
/// The build stops, naming the features, when `L` cannot model how two of them depend on each other, or never
/// transforms one. `T` is what it is computed in: `f32`, or [`Fixed`](crate::Fixed) on cores without an FPU.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Flow<const D: usize, L, B = StandardNormal<D>, const C: usize = 0, T = f32> {
    /// The layers.
    pub layers: L,
    /// The base.
    pub base: B,
    scalar: PhantomData<T>,
}

impl<const D: usize, L, B, const C: usize, T> Flow<D, L, B, C, T> {
    /// These layers over this base.
    #[must_use]
    pub const fn new(layers: L, base: B) -> Self {
        Self { layers, base, scalar: PhantomData }
    }
}

impl<const D: usize, L: Layer, B: BaseRecord, const C: usize, T: Scalar> Flow<D, L, B, C, T> {
    /// Evaluated by the compiler for every flow that is used; permutations that are data are left to the loaders.
    pub(crate) const CHECKED: () = if let Err(error) = interaction::check::<D>(D, &L::SCHEMA, &B::RECORD, None) {
        stop(&error)
    };

    /// The log-density at a reading, in nats, in the units of the reading.
    ///
    /// Always finite: however far off the reading, the result saturates at `f32::MIN`, most anomalous.
    ///
    /// # Errors
    /// [`ReadingError`] for infinite or NaN values, and where the density is infinite or 0.
    #[inline]
    pub fn log_prob(&self, x: &[T; D], context: &[T; C]) -> Result<T, ReadingError>
    where
        L: Inverse<D, C, T>,
        B: Base<D, T>,
    {
        let (z, log_det) = self.to_base(x, context)?;
        let infinite = T::from_f32(f32::INFINITY);
        if log_det == infinite {
            return Err(ReadingError::Singular);
        }
        let log_prob = self.base.log_prob(&z) + log_det;
        // Also for a NaN or an infinity, which no fitted parameters give, but hostile ones could.
        let least = T::from_f32(f32::MIN);
        Ok(if log_prob > least && log_prob != infinite { log_prob } else { least })
    }

    /// The base coordinates z of a reading: standard normal for readings like the fitted ones.
    ///
    /// # Errors
    /// [`ReadingError`] for infinite or NaN values, and where the density is 0.
    #[inline]
    pub fn latent(&self, x: &[T; D], context: &[T; C]) -> Result<[T; D], ReadingError>
    where
        L: Inverse<D, C, T>,
    {
        self.to_base(x, context).map(|(z, _)| z)
    }

    /// Evaluated by the compiler for every flow whose order is asked for; `None` where it follows from permutations
    /// that are data.
    const ORDER: Option<Order<D>> = match interaction::order(D, &L::SCHEMA, None) {
        Ok(order) => order,
        Err(error) => error.stop(),
    };

    /// The order in which each feature is conditioned on those before it. The build stops where the type says that
    /// there is none.
    ///
    /// # Errors
    /// [`NoOrder`] where permutations that are data say so.
    #[inline]
    pub fn order(&self) -> Result<Order<D>, NoOrder>
    where
        L: Triangular<D, C, T>,
        B: Independent<D, T>,
    {
        let () = Self::CHECKED;
        if let Some(order) = const { Self::ORDER } {
            return Ok(order);
        }
        let mut tracks = Tracks::new(D);
        self.layers.trace(&mut tracks.lend());
        tracks.order()
    }

    /// The exact conditional terms of the log-density, log p(x_i | features before i), in the order of conditioning
    /// (see [`terms`](crate::terms)). Their log-densities add up to [`Flow::log_prob`], but for rounding and where
    /// that saturates.
    ///
    /// Takes as long as a log-density and a logarithm for each feature, and some 20 bytes of stack more for each; 34 more
    /// where a permutation is data.
    ///
    /// # Errors
    /// [`TermsError::Reading`] as [`Flow::log_prob`], [`TermsError::NoOrder`] as [`Flow::order`].
    #[inline]
    pub fn conditional_terms(&self, x: &[T; D], context: &[T; C]) -> Result<[Term; D], TermsError>
    where
        L: Triangular<D, C, T>,
        B: Independent<D, T>,
    {
        let order = self.order()?;
        check_finite(x, context)?;
        let (mut z, mut log_probs) = (*x, [T::ZERO; D]);
        self.layers.inverse_slopes(&mut z, &mut log_probs, context);
        check_slopes(&log_probs)?;
        self.base.terms(&mut z, &mut log_probs);
        Ok(core::array::from_fn(|n| order.term(n, &z, &log_probs)))
    }

    /// A reading drawn from the density.
    #[inline]
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R, context: &[T; C]) -> [T; D]
    where
        L: Forward<D, C, T>,
        B: Base<D>,
    {
        let () = Self::CHECKED;
        // The quantiles of a base need more digits than a fixed-point number has.
        let mut x = self.base.sample(rng).map(T::from_f32);
        self.layers.forward(&mut x, context);
        x
    }

    #[inline]
    fn to_base(&self, x: &[T; D], context: &[T; C]) -> Result<([T; D], T), ReadingError>
    where
        L: Inverse<D, C, T>,
    {
        let () = Self::CHECKED;
        check_finite(x, context)?;
        let mut z = *x;
        let log_det = self.layers.inverse(&mut z, context);
        check_support(log_det)?;
        Ok((z, log_det))
    }
}

/// All values must be finite, in a reading and in its context.
///
/// # Errors
/// [`ReadingError::NotFinite`] or [`ReadingError::ContextNotFinite`], with the index of the first that is not.
#[inline]
pub fn check_finite<T: Real>(x: &[T], context: &[T]) -> Result<(), ReadingError> {
    if let Some(feature) = x.iter().position(|value| !value.is_finite()) {
        return Err(ReadingError::NotFinite { feature });
    }
    if let Some(index) = context.iter().position(|value| !value.is_finite()) {
        return Err(ReadingError::ContextNotFinite { index });
    }
    Ok(())
}

/// The layers say by a log-determinant of -∞ that a reading is where the density is 0.
///
/// # Errors
/// [`ReadingError::OutsideSupport`].
#[inline]
pub fn check_support<T: Real>(log_det: T) -> Result<(), ReadingError> {
    if log_det == T::from_f32(f32::NEG_INFINITY) { Err(ReadingError::OutsideSupport) } else { Ok(()) }
}
