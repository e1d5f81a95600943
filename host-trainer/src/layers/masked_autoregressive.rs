//! Masked autoregressive layer: every feature is conditioned on those before it ("Masked autoregressive flow for density
//! estimation", Papamakarios, Pavlakou, Murray 2017).

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::masked_autoregressive::{self, MaskedAutoregressiveView};
use flowlet::schema::Record;
use nalgebra::DMatrix;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::conditioned::Conditioned;
use super::view::each_row;
use super::{Computed, Kind, Layer, Mathematics, Rows, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::net::rows::{Lanes, ROWS, RowsNet};
use crate::net::{Hidden, Net, NetType, NetView, RangeMethod, Ranges};
use crate::train::{self, Batch, Tape};
use crate::univariate::{Map, MapValues, MapView, TrainMap, stride};

/// `MaskedAutoregressive<D, N, U, E>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskedAutoregressive {
    /// D.
    pub features: usize,
    /// What the net's outputs do to a feature.
    pub map: Map,
    /// The conditioner.
    pub net: NetType,
    /// Elementary functions.
    pub elementary: Elementary,
}

impl Kind for MaskedAutoregressive {
    fn record(&self) -> &'static Record {
        let (map, net) = (self.map.record(), self.net.record());
        let parameters = masked_autoregressive::parameters(self.features, map, net, self.elementary.name());
        let fields = forever(masked_autoregressive::fields(map, net));
        forever(masked_autoregressive::record(self.net.masks(), map, net, forever(parameters), fields))
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn rust_type(&self) -> String {
        let (features, net, suffix) = (self.features, self.net.rust_type(), self.elementary.suffix());
        match (self.map.rust_type().as_str(), suffix) {
            ("Affine", "") => format!("MaskedAutoregressive<{features}, {net}>"),
            (map, suffix) => format!("MaskedAutoregressive<{features}, {net}, {map}{suffix}>"),
        }
    }

    fn fits(&self, features: usize, context: usize) -> bool {
        self.features == features && self.map.fits() && self.net.fits_masked(features, context, self.map.stride())
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let map = self.map.view(bytes)?;
        let rows = RowsNet::new(self.net, bytes);
        let conditioner = self.net.view(bytes)?;
        let (view, context) = (MaskedAutoregressiveView { map, conditioner }, self.net.context());
        Some(Box::new(Computed(Host { view, rows, context, outputs: self.map.outputs() }, self.elementary)))
    }

    fn is_triangular(&self) -> bool {
        true
    }

    fn family(&self) -> Option<(&'static str, Option<NumberFormat>)> {
        let family = match self.map {
            Map::Spline { .. } => "maf-spline",
            Map::Sigmoidal { .. } => "naf",
            Map::Additive {} | Map::Affine { .. } | Map::Turned { .. } => "maf",
        };
        Some((family, Some(self.net.format())))
    }

    fn parameters(&self) -> usize {
        self.net.parameters(self.features, self.features * self.map.outputs())
    }
}

/// The core's view, and how many readings at once go to the base.
#[derive(Debug)]
struct Host<'a> {
    view: MaskedAutoregressiveView<MapView, NetView<'a>>,
    rows: Option<RowsNet>,
    /// Values of context that the net has.
    context: usize,
    /// Outputs of the net for each feature.
    outputs: usize,
}

impl Mathematics for Host<'_> {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], context: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        self.view.inverse::<T, E>(x, context)
    }

    fn inverse_slopes<T: Real, E: Functions<T>>(&self, x: &mut [T], log_slopes: &mut [T], context: &[T])
    where
        Libm: Functions<T>,
    {
        self.view.inverse_slopes::<T, E>(x, log_slopes, context);
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], context: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        self.view.forward::<T, E>(z, context)
    }

    fn inverse_rows<E: Functions<f32>>(&self, x: &mut [Lanes<f32>], context: &[Lanes<f32>]) -> Lanes<f32> {
        let Self { view: MaskedAutoregressiveView { map, .. }, rows: Some(net), outputs, .. } = self else {
            return each_row(x, context, |x, context| self.view.inverse::<f32, E>(x, context));
        };
        let missing = [0.0; ROWS];
        let given = context.iter().chain(std::iter::repeat(&missing)).take(self.context);
        let all = net.evaluate(given.chain(&*x));
        let mut log_dets = [0.0; ROWS];
        for (x, parameters) in x.iter_mut().zip(all.chunks(stride(*outputs))) {
            map.inverse_rows::<E>(&parameters[..*outputs], x, &mut log_dets);
        }
        log_dets
    }
}

/// A masked autoregressive layer in a flow that is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedMaskedAutoregressive {
    features: usize,
    conditioned: Conditioned,
}

impl TrainedMaskedAutoregressive {
    /// Transforms every feature by `map`, conditioned on those before it and on `context` values through a net with this
    /// hidden part.
    pub fn new(features: usize, context: usize, map: impl Into<MapValues>, hidden: Hidden) -> Self {
        let map = map.into();
        // Without a context, units that see no feature would be constants.
        let lowest = usize::from(context == 0 && features > 1);
        let net = Net::masked(features, context, lowest, stride(TrainMap::<f32>::outputs(&map)), hidden);
        Self { features, conditioned: Conditioned { map, net } }
    }
}

impl<T: train::Real> Trainable<T> for TrainedMaskedAutoregressive {
    fn parameters(&self) -> usize {
        self.conditioned.net.parameters()
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        self.conditioned.initialize(parameters, rng);
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        self.conditioned.net.mark_weights(marks);
    }

    fn fake_quantize(&self, parameters: &mut [T]) {
        self.conditioned.net.fake_quantize(parameters);
    }

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, context: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let mut input = tape.copy_of(context);
        input.extend_from_slice(batch.values());
        self.conditioned.inverse(parameters, input, batch.values_mut(), log_det, tape);
    }

    fn backward(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    ) {
        let rows = gradient.rows();
        let by_input =
            self.conditioned.backward(parameters, tape, gradient.values_mut(), log_det_gradient, parameter_gradient);
        let context = self.conditioned.net.context() * rows;
        for (gradient, by_input) in gradient.values_mut().iter_mut().zip(&by_input[context..]) {
            *gradient += *by_input;
        }
        tape.recycle(by_input);
    }
}

impl Trained for TrainedMaskedAutoregressive {
    fn layer(&self, format: NumberFormat) -> Layer {
        MaskedAutoregressive {
            features: self.features,
            map: self.conditioned.map.map(),
            net: self.conditioned.net.net_type(format),
            elementary: Elementary::Libm,
        }
        .into()
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        self.conditioned.write(parameters, image);
    }

    fn write_int8(
        &self,
        parameters: &[f32],
        rows: &Rows,
        method: RangeMethod,
        image: &mut Image,
    ) -> Option<Vec<Ranges>> {
        let Rows { values, context } = rows;
        let columns = context.ncols();
        let inputs = DMatrix::from_fn(values.nrows(), columns + self.features, |row, column| {
            if column < columns { context[(row, column)] } else { values[(row, column - columns)] }
        });
        Some(self.conditioned.write_int8(parameters, &inputs, method, image))
    }
}
