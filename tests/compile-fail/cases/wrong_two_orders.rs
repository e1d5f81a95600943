//! Conditional terms of layers that see the features in two orders.

use flowlet::terms::TermsError;
use flowlet::*;

type Net = MaskedFloat<3, 0, 1, 2, 1, 2, 0, 2, 2, 3, 3>;
type Layers = Chain<MaskedAutoregressive<3, Net>, Chain<Reverse, MaskedAutoregressive<3, Net>>>;

fn explain(flow: &Flow<3, Layers>) -> Result<[Term; 3], TermsError> {
    flow.conditional_terms(&[1.0; 3], &[])
}

fn main() {
    let _ = std::hint::black_box(explain as fn(&_) -> _);
}
