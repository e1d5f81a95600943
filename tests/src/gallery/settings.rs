//! How each family is fitted to a density in the plane.

use flowlet_trainer::train::{Architecture, Family, Options};

/// The settings of a family; `quick` ones show that all works, and no more.
#[must_use]
pub fn options(family: Family, quick: bool) -> Options {
    let default = Architecture { hidden: 64, bound: 2.0, interval: 4.0, ..Architecture::of(family, 2) };
    let (architecture, steps) = match family {
        Family::Nice | Family::Realnvp | Family::Glow => (Architecture { layers: 12, ..default }, 3000),
        Family::Spline => (Architecture { layers: 8, bins: 16, ..default }, 3000),
        Family::Maf => (Architecture { layers: 8, ..default }, 3000),
        Family::MafSpline => (Architecture { layers: 4, bins: 24, ..default }, 3000),
        Family::Naf => (Architecture { layers: 6, bins: 16, hidden: 96, ..default }, 9000),
        Family::Planar | Family::Radial | Family::Sylvester => (Architecture { layers: 32, ..default }, 4000),
        Family::Continuous => (Architecture { layers: 16, hidden_layers: 3, ..default }, 6000),
    };
    Options {
        architecture,
        batch_rows: 512,
        steps: if quick { 100 } else { steps },
        // Points of exact densities: nothing to smooth, and many of them for each parameter.
        noise: Some(0.0),
        weight_decay: Some(0.01),
        averaging: 0.995,
        ..Options::for_features(2)
    }
}
