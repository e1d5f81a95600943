//! What the wrong programs are variations of.

use flowlet::*;

type Net = Int8<1, 2, 1, 1>;
type Layers = Chain<Standardize<3>, [Chain<Permute<3>, AffineCoupling<1, 2, Net>>; 4]>;
type Model = Detector<Flow<3, Layers>, 4>;

static MODEL: Model = Model::from_file(include_bytes!("../../vectors/quantized.flow"));

fn main() {
    assert!(MODEL.assess(&[0.1, 0.2, 0.3], &[]).is_ok());
}
