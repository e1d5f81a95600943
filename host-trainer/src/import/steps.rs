//! Layers on their way from another library's order of things to ours: permutations next to each other become one, and what
//! does nothing is left out.

use crate::image::Image;
use crate::layers::{Coupling, Layer, LuLinear, MaskedAutoregressive, Permute, Piece, Reverse, Standardize};
use crate::univariate::Map;

/// What a reading meets, data -> base.
#[derive(Clone, Debug)]
enum Step {
    /// z_i = x_(source_i).
    Permute(Vec<usize>),
    /// z = (x - mean) · scale.
    Units { mean: Vec<f64>, scale: Vec<f64> },
    /// A layer with its image.
    Layer(Layer, Vec<u8>),
}

/// Steps, data -> base, on so many features.
#[derive(Clone, Debug)]
pub struct Steps {
    pub features: usize,
    steps: Vec<Step>,
}

impl Steps {
    pub fn new(features: usize) -> Self {
        Self { features, steps: Vec::new() }
    }

    /// z_i = x_(source_i), a permutation of the features.
    pub fn permute(&mut self, source: Vec<usize>) {
        let source = match self.steps.pop() {
            Some(Step::Permute(before)) => source.iter().map(|index| before[*index]).collect(),
            Some(other) => {
                self.steps.push(other);
                source
            }
            None => source,
        };
        if source.iter().enumerate().any(|(index, source)| index != *source) {
            self.steps.push(Step::Permute(source));
        }
    }

    /// Undoes [`Steps::permute`].
    pub fn permute_back(&mut self, source: &[usize]) {
        self.permute(inverse(source));
    }

    /// z = (x - mean) · scale.
    pub fn units(&mut self, mean: Vec<f64>, scale: Vec<f64>) {
        if mean.iter().any(|mean| *mean != 0.0) || scale.iter().any(|scale| *scale != 1.0) {
            self.steps.push(Step::Units { mean, scale });
        }
    }

    /// A layer, whose image is appended by `write`.
    pub fn layer(&mut self, layer: impl Into<Layer>, write: impl FnOnce(&mut Image)) {
        let mut image = Image::default();
        write(&mut image);
        self.steps.push(Step::Layer(layer.into(), image.0));
    }

    /// z = L (U x) + bias, both factors in one matrix, the ones on the diagonal of L left out.
    pub fn linear(&mut self, matrix: &[f64], bias: &[f64]) {
        let features = self.features;
        // Of the diagonal before it is rounded: nearer to the library's.
        let log_det: f64 = matrix.iter().step_by(features + 1).map(|diagonal| diagonal.ln()).sum();
        self.layer(LuLinear { features }, |image| {
            image.f32s(&single(matrix));
            image.f32s(&single(bias));
            image.f32(log_det as f32);
        });
    }

    /// Steps of another, in the opposite direction.
    pub fn turned(&mut self, other: Self) {
        for step in other.steps.into_iter().rev() {
            match step {
                Step::Permute(source) => self.permute(inverse(&source)),
                Step::Units { mean, scale } => {
                    let back = mean.iter().zip(&scale).map(|(mean, scale)| -mean * scale).collect();
                    self.units(back, scale.iter().map(|scale| 1.0 / scale).collect());
                }
                Step::Layer(layer, image) => self.steps.push(Step::Layer(Layer::Turned(Box::new(layer)), image)),
            }
        }
    }

    /// The layers with their images.
    ///
    /// A change of units is stored rounded, and what rounding has changed so far is made up for by the next one: however
    /// many follow each other, the units are off by the rounding of the last.
    pub fn pieces(self) -> Vec<Piece> {
        let features = self.features;
        // With x as it is here, slope x + offset is what it should be.
        let (mut slope, mut offset) = (vec![1.0; features], vec![0.0; features]);
        let mut pieces = Vec::new();
        for step in self.steps {
            let mut image = Image::default();
            let layer = match step {
                Step::Permute(source) => {
                    for carried in [&mut slope, &mut offset] {
                        *carried = source.iter().map(|index| carried[*index]).collect();
                    }
                    if source.iter().rev().copied().eq(0..features) {
                        Reverse {}.into()
                    } else {
                        source.iter().for_each(|index| image.u32(*index as u32));
                        Permute { features }.into()
                    }
                }
                Step::Units { mut mean, mut scale } => {
                    for (((mean, scale), slope), offset) in
                        mean.iter_mut().zip(&mut scale).zip(&mut slope).zip(&mut offset)
                    {
                        let (exact_mean, exact_scale) = ((*mean - *offset) / *slope, *scale * *slope);
                        (*mean, *scale) = (f64::from(exact_mean as f32), f64::from(exact_scale as f32));
                        *slope = exact_scale / *scale;
                        *offset = (*mean - exact_mean) * exact_scale;
                    }
                    Standardize::write(&single(&mean), &single(&scale), &mut image);
                    Standardize { features }.into()
                }
                Step::Layer(layer, values) => {
                    // z = x s + t keeps a factor of x, but for t; nothing else keeps it.
                    if !is_affine(&layer) {
                        slope.fill(1.0);
                    }
                    offset.fill(0.0);
                    image = Image(values);
                    layer
                }
            };
            pieces.push((layer, image.0));
        }
        pieces
    }
}

/// Whether a layer scales and shifts features.
fn is_affine(layer: &Layer) -> bool {
    fn scales(map: &Map) -> bool {
        match map {
            Map::Additive {} | Map::Affine { .. } => true,
            Map::Turned { map } => scales(map),
            Map::Spline { .. } | Map::Sigmoidal { .. } => false,
        }
    }
    match layer {
        Layer::Coupling(Coupling { map, .. }) | Layer::MaskedAutoregressive(MaskedAutoregressive { map, .. }) => {
            scales(map)
        }
        Layer::Turned(layer) => is_affine(layer),
        _ => false,
    }
}

/// The numbers as a model stores them.
pub fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

fn inverse(source: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; source.len()];
    source.iter().enumerate().for_each(|(index, source)| inverse[*source] = index);
    inverse
}
