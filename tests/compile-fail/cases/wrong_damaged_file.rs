//! A model file with one flipped bit.

use flowlet::*;

type Net = Int8<1, 2, 1, 1>;
type Layers = Chain<Standardize<3>, [Chain<Permute<3>, AffineCoupling<1, 2, Net>>; 4]>;
type Model = Detector<Flow<3, Layers>, 4>;

const FILE: &[u8; 1777] = include_bytes!("../../vectors/quantized.flow");

const DAMAGED: [u8; FILE.len()] = {
    let mut file = *FILE;
    file[100] ^= 1;
    file
};

static MODEL: Model = Model::from_file(&DAMAGED);

fn main() {
    let _ = MODEL.assess(&[0.0; 3], &[]);
}
