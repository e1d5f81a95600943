//! The calls.

use core::convert::Infallible;
use core::hint::black_box;

use flowlet::base::{BaseRecord, Independent};
use flowlet::monitor::{Monitor, Settings};
use flowlet::real::Scalar;
use flowlet::signal::{Raw, Stream, Windows};
use flowlet::{
    Additive, Affine, AffineCoupling, Atanh, Base, Chain, Coupling, Cube, Detector, Elementwise, Elu, Ensemble, Fast,
    Fixed, Float, Flow, Forward, Gated, Householder, Int8, Inverse, InverseSoftplus, Layer, Log, Logit, LuLinear,
    MaskedAutoregressive, MaskedFloat, MaskedInt8, Micromath, Mixture, Permute, Planar, Pointwise, Power, Radial,
    Residual, Reverse, Sigmoidal, Spline, StandardNormal, Standardize, StudentT, Sylvester, Tanh, Triangular, Turned,
    model_file, scale, spline,
};
use panic_never as _;
use rand_core::TryRng;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// The default of `flowlet fit`: eight features, int8.
type Quantized = Chain<Standardize<8>, [Chain<Permute<8>, AffineCoupling<4, 4, Int8<1, 8, 1, 2>>>; 6]>;

/// The same with fast elementary functions.
type Fastened = Chain<Standardize<8>, [Chain<Permute<8>, AffineCoupling<4, 4, Int8<1, 8, 1, 2>, Fast>>; 6]>;

/// The same with f32 weights, an odd number of features and no deep layer.
type Odd = Chain<Standardize<5>, [Chain<AffineCoupling<2, 3, Float<1, 4, 0, 2>>, Reverse>; 4]>;

/// With a context, the coarse elementary functions and turned layers.
type Conditioned = Chain<
    [Chain<Turned<AffineCoupling<2, 3, Int8<1, 4, 2, 2>, Micromath>>, Permute<5>>; 4],
    AffineCoupling<2, 3, Float<1, 4, 3, 2>>,
>;

/// Nets of other bodies and activations, and masked ones.
type Autoregressive = Chain<
    Chain<
        MaskedAutoregressive<5, MaskedInt8<5, 3, 0, 2, 2, 5, 2, 3, 8, 15, 11, Gated<Tanh>>>,
        Turned<MaskedAutoregressive<5, MaskedFloat<5, 3, 0, 2, 2, 5, 2, 3, 8, 15, 11, Residual<Elu>>>>,
    >,
    AffineCoupling<2, 3, Int8<2, 4, 2, 2, Residual<Tanh>>>,
>;

/// Maps of every kind.
type Maps = Chain<
    Chain<
        Chain<Coupling<2, 3, Int8<1, 2, 0, 18>, Spline<8>>, Coupling<2, 3, Float<1, 2, 0, 1>, Additive>>,
        Chain<
            Coupling<2, 3, Float<1, 2, 0, 9>, Turned<Sigmoidal<4>>>,
            MaskedAutoregressive<5, MaskedFloat<5, 0, 1, 12, 1, 4, 0, 15, 4, 10, 30>, Spline<4, spline::Floored>>,
        >,
    >,
    Chain<
        Chain<
            Coupling<2, 3, Float<1, 2, 0, 2>, Affine<scale::Exp>>,
            Coupling<2, 3, Float<1, 2, 0, 2>, Affine<scale::Softplus>>,
        >,
        Chain<
            Coupling<2, 3, Float<1, 2, 0, 2>, Turned<Affine<scale::Sigmoid>>>,
            Coupling<2, 3, Float<1, 2, 0, 2>, Affine<scale::InverseSigmoid>, Micromath>,
        >,
    >,
>;

/// Several flows.
type Members = Ensemble<5, 2, [Chain<Permute<5>, AffineCoupling<2, 3, Int8<1, 4, 1, 2>>>; 3], StudentT<5>>;

/// The layer with a singularity.
type Cubed = Chain<Standardize<1>, Cube>;

/// Sensors with a sign or a range.
type Mapped = Chain<
    Chain<Elementwise<3, Log>, Chain<Elementwise<3, InverseSoftplus>, Elementwise<3, Logit>>>,
    Chain<
        Chain<Elementwise<3, Atanh>, Elementwise<3, Power>>,
        [Chain<AffineCoupling<1, 2, Float<1, 1, 0, 1>>, Reverse>; 3],
    >,
>;
/// The linear layers.
type Linear = Chain<Standardize<6>, Chain<LuLinear<6>, Chain<Householder<6, 2>, Pointwise<3, 2, LuLinear<3>>>>>;

/// The layers that have one direction.
type OneWay = Chain<Planar<6>, Chain<Radial<6>, Chain<Sylvester<6, 3>, Pointwise<2, 3, Planar<2>>>>>;

/// The layers that give each feature a log-slope, with an order that is data.
type Ordered = Chain<
    Chain<Elementwise<5, Log>, Chain<Standardize<5>, Permute<5>>>,
    Chain<
        Chain<Reverse, Cube>,
        [MaskedAutoregressive<5, MaskedFloat<5, 0, 1, 12, 1, 4, 0, 15, 4, 10, 30>, Spline<4, spline::Floored>>; 2],
    >,
>;

/// Random enough for a program that never runs.
struct Xorshift(u32);

impl TryRng for Xorshift {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        Ok(self.0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.0))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0 as u8);
        Ok(())
    }
}

/// Calls all entry points of one type of model.
#[inline(never)]
fn call<const D: usize, L, B, const C: usize, T: Scalar, const N: usize>(file: &[u8], values: &[f32])
where
    B: Base<D, T> + Base<D> + BaseRecord + FromBytes + KnownLayout + Immutable,
    L: Layer + Inverse<D, C, T> + Forward<D, C, T> + FromBytes + KnownLayout + Immutable,
{
    if let Ok(model) = Detector::<Flow<D, L, B, C, T>, N>::from_flash(file) {
        score(model, values);
        let _ = black_box(model.verify(black_box(0)));
    }
    if let Ok(model) = Detector::<Flow<D, L, B, C, T>, N>::from_postcard(file) {
        score(&model, values);
    }
}

/// Calls what a model has whose layers have one direction.
#[inline(never)]
fn call_one_way<const D: usize, L>(file: &[u8])
where
    L: Layer + Forward<D> + FromBytes + KnownLayout + Immutable,
{
    if let Ok(model) = Detector::<Flow<D, L>, 1>::from_flash(file) {
        black_box(model.flow.sample(&mut Xorshift(black_box(1)), &[]));
    }
    if let Ok(model) = Detector::<Flow<D, Turned<L>>, 1>::from_flash(file) {
        let _ = black_box(model.flow.log_prob(&black_box([0.5; D]), &[]));
    }
}

fn score<const D: usize, L, B, const C: usize, T: Scalar, const N: usize>(
    model: &Detector<Flow<D, L, B, C, T>, N>,
    values: &[f32],
) where
    B: Base<D, T> + Base<D> + BaseRecord,
    L: Layer + Inverse<D, C, T> + Forward<D, C, T>,
{
    let (reading, context) = (black_box([0.5; D]), black_box([0.5; C]));
    let _ = black_box(model.assess_slice(values, &context));
    let (reading, context) = (reading.map(T::from_f32), context.map(T::from_f32));
    let _ = black_box(model.assess(&reading, &context));
    let _ = black_box(model.flow.log_prob(&reading, &context));
    let _ = black_box(model.flow.latent(&reading, &context));
    black_box(model.flow.sample(&mut Xorshift(black_box(1)), &context));
}

/// Calls what a model has whose layers keep one order.
#[inline(never)]
fn call_ordered<const D: usize, L, B, T: Scalar>(file: &[u8])
where
    B: Independent<D, T> + BaseRecord + FromBytes + KnownLayout + Immutable,
    L: Layer + Triangular<D, 0, T> + FromBytes + KnownLayout + Immutable,
{
    if let Ok(model) = Detector::<Flow<D, L, B, 0, T>, 1>::from_flash(file) {
        let _ = black_box(model.conditional_terms(&black_box([T::ONE; D]), &[]));
    }
}

/// Calls what a model has that watches a stream.
#[inline(never)]
fn call_watching<const M: usize, const D: usize, L, S>(file: &[u8], mut signal: S)
where
    L: Layer + Inverse<D> + Forward<D> + FromBytes + KnownLayout + Immutable,
    S: Stream<M, D>,
    Settings<D, 48, S>: FromBytes + KnownLayout + Immutable,
{
    let Ok(model) = Detector::<Flow<D, L>, 128, Settings<D, 48, S>>::from_flash(file) else { return };
    let mut monitor = Monitor::<[f32; D], [u32; D]>::new();
    let _ = black_box(model.watch(&mut signal, &mut monitor, &black_box([0.5; M]), &[]));
    let _ = black_box(model.attribute::<3>(&monitor, &[]));
    let _ = black_box(model.marginal_log_prob(&black_box([0.5; D]), &[], black_box(0)));
    let _ = black_box(model.self_test(black_box(0)));
    let _ = black_box(model.self_test_by_samples(&mut Xorshift(black_box(1)), black_box(8), &[]));
    let _ = black_box(monitor.drift().used(&model.monitor.view()));
    monitor.acknowledge();
}

/// Eight features of windows: six statistics, the centroid among them, and two bands.
type Windowed = Windows<1, 64, 16, 0b10_0111_0110, 2>;

/// Three features of two channels.
type Correlated = Windows<2, 8, 2, 1, 0, 0, true>;

/// What the linker keeps.
#[unsafe(no_mangle)]
#[allow(unsafe_code, reason = "the linker knows the entry point by its name")]
extern "C" fn entry() {
    let (file, values): (&[u8], &[f32]) = black_box((&[], &[]));
    call_watching::<8, 8, Quantized, Raw>(file, Raw);
    call_watching::<1, 8, Quantized, Windowed>(file, Windowed::new());
    call_watching::<2, 3, Mapped, Correlated>(file, Correlated::new());
    if let Ok(length) = model_file::length(file)
        && let Some(file) = file.get(..length)
    {
        call::<8, Quantized, StandardNormal<8>, 0, f32, 128>(file, values);
        call::<5, Odd, StandardNormal<5>, 0, f32, 16>(file, values);
        call::<5, Conditioned, StandardNormal<5>, 2, f32, 1>(file, values);
        call::<1, Cubed, StandardNormal<1>, 0, f32, 1>(file, values);
        call::<3, Mapped, StudentT<3>, 0, f32, 4>(file, values);
        call::<3, Mapped, Mixture<3, 2>, 0, f32, 4>(file, values);
        call::<5, Standardize<5>, Members, 0, f32, 4>(file, values);
        call::<6, Linear, StandardNormal<6>, 0, f32, 1>(file, values);
        call_one_way::<6, OneWay>(file);
        call_ordered::<5, Ordered, StandardNormal<5>, f32>(file);
        call_ordered::<5, Ordered, StudentT<5>, f32>(file);
        call_ordered::<5, Ordered, StudentT<5>, Fixed>(file);
        call::<5, Autoregressive, StandardNormal<5>, 3, f32, 1>(file, values);
        call::<5, Maps, StandardNormal<5>, 0, f32, 1>(file, values);
        call::<8, Fastened, StandardNormal<8>, 0, f32, 128>(file, values);
        call::<8, Quantized, StandardNormal<8>, 0, Fixed, 128>(file, values);
        call::<5, Conditioned, StandardNormal<5>, 2, Fixed, 1>(file, values);
        call::<3, Mapped, StudentT<3>, 0, Fixed, 4>(file, values);
        call::<3, Mapped, Mixture<3, 2>, 0, Fixed, 4>(file, values);
        call::<5, Standardize<5>, Members, 0, Fixed, 4>(file, values);
        call::<6, Linear, StandardNormal<6>, 0, Fixed, 1>(file, values);
        call::<5, Autoregressive, StandardNormal<5>, 3, Fixed, 1>(file, values);
        call::<5, Maps, StandardNormal<5>, 0, Fixed, 1>(file, values);
    }
    #[cfg(feature = "unchecked-index")]
    black_box(values[black_box(3)]);
}
