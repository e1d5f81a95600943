//! The model file of a net with other widths.

use flowlet::*;

type Net = Int8<1, 3, 1, 1>;
type Layers = Chain<Standardize<3>, [Chain<Permute<3>, AffineCoupling<1, 2, Net>>; 4]>;
type Model = Detector<Flow<3, Layers>, 4>;

static MODEL: Model = Model::from_file(include_bytes!("../../vectors/quantized.flow"));

fn main() {
    let _ = MODEL.assess(&[0.0; 3], &[]);
}
