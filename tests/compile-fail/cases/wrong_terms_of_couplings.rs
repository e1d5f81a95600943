//! Conditional terms of a flow of couplings, over a base whose coordinates are not independent.

use flowlet::terms::TermsError;
use flowlet::*;

type Layers = [Chain<Permute<3>, AffineCoupling<1, 2, Int8<1, 2, 1, 1>>>; 4];

fn explain(flow: &Flow<3, Layers, Mixture<3, 2>>) -> Result<[Term; 3], TermsError> {
    flow.conditional_terms(&[1.0; 3], &[])
}

fn main() {
    let _ = std::hint::black_box(explain as fn(&_) -> _);
}
