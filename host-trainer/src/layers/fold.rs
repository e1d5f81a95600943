//! What an activation normalization costs a device: nothing, where a neighbour can do its work.
//!
//! z = (x - mean) · scale behind another such layer is one such layer. A permutation in between only changes the order of
//! the means and the scales. So every standardization that stands, permutations aside, behind another one becomes part of
//! it, and one that stands before a linear layer becomes part of that: L U diag(scale) (x - mean) + b is again such a layer.
//! The function stays the same, up to the rounding of the stored values.

use super::{Layer, Standardize, compose};
use crate::image::Image;

/// A layer with the image of its values.
pub type Piece = (Layer, Vec<u8>);

/// The pieces, data -> base, with every standardization folded that can be; as they were, if that makes a longer type,
/// because then it took from one of several equal layers what the others keep.
#[must_use]
pub fn fold(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut folded = pieces.clone();
    for index in (1..pieces.len()).rev() {
        if let Some((at, piece)) = folded_at(&folded, index) {
            folded[at] = piece;
            folded.remove(index);
        }
    }
    if length(&folded) <= length(&pieces) { folded } else { pieces }
}

/// Letters of the type behind the first layer, which is no part of what repeats.
fn length(pieces: &[Piece]) -> usize {
    let behind: Vec<Layer> = pieces.iter().skip(1).map(|(layer, _)| layer.clone()).collect();
    if behind.is_empty() { 0 } else { compose(behind).rust_type().len() }
}

/// The piece that takes up the standardization at `index`, with its place.
fn folded_at(pieces: &[Piece], index: usize) -> Option<(usize, Piece)> {
    let read = Units::read(&pieces[index])?;
    let mut units = Some(read.clone());
    for (at, piece) in pieces[..index].iter().enumerate().rev() {
        let Some(here) = units else { break };
        if let Some(first) = Units::read(piece) {
            return Some((at, (piece.0.clone(), first.then(&here).write()?)));
        }
        units = here.before(piece);
    }
    let mut units = read;
    for (at, piece) in pieces.iter().enumerate().skip(index + 1) {
        if let Layer::LuLinear(_) = piece.0 {
            return Some((at, (piece.0.clone(), units.into_linear(&piece.1)?)));
        }
        units = units.behind(piece)?;
    }
    None
}

/// A change of units: subtracted, then multiplied.
#[derive(Clone, Debug)]
struct Units {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Units {
    /// Those of a standardization.
    fn read((layer, image): &Piece) -> Option<Self> {
        let Layer::Standardize(Standardize { features }) = layer else { return None };
        let mut values = words(image).map(|word| f64::from(f32::from_le_bytes(word)));
        let mean = values.by_ref().take(*features).collect();
        Some(Self { mean, scale: values.take(*features).collect() })
    }

    /// Its image, if the device accepts the values.
    fn write(&self) -> Option<Vec<u8>> {
        let (mean, scale) = (single(&self.mean), single(&self.scale));
        let accepted =
            mean.iter().chain(&scale).all(|value| value.is_finite()) && scale.iter().all(|scale| *scale > 0.0);
        let mut image = Image::default();
        Standardize::write(&mean, &scale, &mut image);
        accepted.then_some(image.0)
    }

    /// One after the other.
    fn then(&self, next: &Self) -> Self {
        let means = self.mean.iter().zip(&self.scale).zip(&next.mean);
        Self {
            mean: means.map(|((first, scale), second)| first + second / scale).collect(),
            scale: self.scale.iter().zip(&next.scale).map(|(first, second)| first * second).collect(),
        }
    }

    /// What does before a permutation what this does behind it.
    fn before(&self, (layer, image): &Piece) -> Option<Self> {
        let Layer::Permute(_) = layer else { return None };
        let mut moved = Self { mean: self.mean.clone(), scale: self.scale.clone() };
        for (coordinate, word) in words(image).enumerate() {
            let source = u32::from_le_bytes(word) as usize;
            *moved.mean.get_mut(source)? = *self.mean.get(coordinate)?;
            *moved.scale.get_mut(source)? = *self.scale.get(coordinate)?;
        }
        Some(moved)
    }

    /// What does behind a permutation what this does before it.
    fn behind(&self, (layer, image): &Piece) -> Option<Self> {
        let Layer::Permute(_) = layer else { return None };
        let gather = |values: &[f64]| -> Option<Vec<f64>> {
            words(image).map(|word| values.get(u32::from_le_bytes(word) as usize).copied()).collect()
        };
        Some(Self { mean: gather(&self.mean)?, scale: gather(&self.scale)? })
    }

    /// The image of a linear layer, U above L in a square matrix and then b, behind this: U becomes U diag(scale), and b
    /// loses L U diag(scale) mean.
    fn into_linear(self, image: &[u8]) -> Option<Vec<u8>> {
        let features = self.mean.len();
        let mut values: Vec<f64> = words(image).map(|word| f64::from(f32::from_le_bytes(word))).collect();
        let (matrix, rest) = values.split_at_mut_checked(features * features)?;
        for (row, values) in matrix.chunks_exact_mut(features).enumerate() {
            for (column, scale) in self.scale.iter().enumerate().skip(row) {
                values[column] *= scale;
            }
        }
        let upper = |row: usize| -> f64 { (row..features).map(|k| matrix[row * features + k] * self.mean[k]).sum() };
        let product: Vec<f64> = (0..features).map(upper).collect();
        for (row, bias) in rest.iter_mut().take(features).enumerate() {
            let lower: f64 = (0..row).map(|k| matrix[row * features + k] * product[k]).sum();
            *bias -= product[row] + lower;
        }
        let diagonal: Vec<f32> = (0..features).map(|row| matrix[row * (features + 1)] as f32).collect();
        *rest.get_mut(features)? = diagonal.iter().map(|scale| f64::from(*scale).ln()).sum();
        let values = single(&values);
        let accepted = values.iter().all(|value| value.is_finite()) && diagonal.iter().all(|scale| *scale > 0.0);
        let mut image = Image::default();
        image.f32s(&values);
        accepted.then_some(image.0)
    }
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

fn words(image: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    image.chunks_exact(4).map(|word| word.try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::{Cube, Permute, Trained, TrainedActNorm, TrainedLuLinear, TrainedPermute};
    use super::*;
    use crate::model::Body;
    use crate::model::architecture::{Elementary, NumberFormat};

    fn piece(layer: &dyn Trained, parameters: &[f32]) -> Piece {
        let mut image = Image::default();
        layer.write(parameters, &mut image);
        (layer.layer(NumberFormat::Float), image.0)
    }

    fn normalization(rng: &mut ChaCha8Rng) -> Piece {
        let parameters: Vec<f32> = (0..6).map(|_| rng.random_range(-1.0..1.0)).collect();
        piece(&TrainedActNorm { features: 3 }, &parameters)
    }

    fn permutation() -> Piece {
        piece(&TrainedPermute::new(vec![2, 0, 1]), &[])
    }

    fn cube() -> Piece {
        (Cube { elementary: Elementary::Libm }.into(), Vec::new())
    }

    fn evaluate(pieces: &[Piece], x: [f64; 3]) -> [f64; 4] {
        let (mut x, mut log_det) = (x, 0.0);
        for (layer, image) in pieces {
            let body = Body::new(image);
            log_det += layer.view(&mut body.as_bytes()).expect("an image").inverse_f64(&mut x, &[]);
        }
        [x[0], x[1], x[2], log_det]
    }

    fn check(pieces: Vec<Piece>, expected: &str) {
        let folded = fold(pieces.clone());
        let mut layers: Vec<Layer> = folded.iter().map(|(layer, _)| layer.clone()).collect();
        let first = layers.remove(0);
        let whole = if layers.is_empty() { first } else { first.then(compose(layers)) };
        assert_eq!(whole.rust_type(), expected);
        for x in [[0.3, -1.5, 2.0], [-40.0, 0.01, 7.0]] {
            let (before, after) = (evaluate(&pieces, x), evaluate(&folded, x));
            for (before, after) in before.iter().zip(after) {
                assert!((before - after).abs() < 1e-5 * (1.0 + before.abs()), "{expected}: {before} became {after}");
            }
        }
    }

    #[test]
    fn standardizations_fold_into_those_before_them_and_past_permutations() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut a = || normalization(&mut rng);
        check(vec![a(), a()], "Standardize<3>");
        check(vec![a(), a(), permutation(), a(), cube()], "Chain<Standardize<3>, Chain<Permute<3>, Cube<Libm>>>");
        check(vec![a(), permutation(), permutation(), a()], "Chain<Standardize<3>, [Permute<3>; 2]>");
    }

    #[test]
    fn a_linear_layer_takes_up_what_stands_before_it() {
        // z = L U x + b by the definition, on the image that the core reads: matrix, b, log-determinant.
        let linear = |image: &[f32], x: [f64; 3]| -> [f64; 4] {
            let entry = |row: usize, column: usize| f64::from(image[3 * row + column]);
            let upper: [f64; 3] = std::array::from_fn(|row| (row..3).map(|k| entry(row, k) * x[k]).sum());
            let z: [f64; 3] = std::array::from_fn(|row| {
                upper[row] + (0..row).map(|k| entry(row, k) * upper[k]).sum::<f64>() + f64::from(image[9 + row])
            });
            [z[0], z[1], z[2], f64::from(image[12])]
        };
        let image: [f32; 13] =
            [2.0, -0.3, 0.8, 0.5, 0.7, 0.2, -0.4, 1.1, 1.5, 0.1, -2.0, 3.0, (2.0 * 0.7 * 1.5_f32).ln()];
        let units = Units { mean: vec![0.5, -1.0, 20.0], scale: vec![0.1, 3.0, 1.7] };
        let bytes: Vec<u8> = image.iter().flat_map(|value| value.to_le_bytes()).collect();
        let folded = units.clone().into_linear(&bytes).expect("values that the device accepts");
        let folded: Vec<f32> = words(&folded).map(f32::from_le_bytes).collect();
        for x in [[0.3, -1.5, 2.0], [-4.0, 0.01, 7.0]] {
            let changed = std::array::from_fn(|i| (x[i] - units.mean[i]) * units.scale[i]);
            let mut expected = linear(&image, changed);
            expected[3] += units.scale.iter().map(|scale| scale.ln()).sum::<f64>();
            for (found, expected) in linear(&folded, x).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{found}, but {expected}");
            }
        }
        let unit = Units { mean: vec![0.0; 3], scale: vec![1.0; 3] };
        assert_eq!(unit.into_linear(&bytes[..40]), None, "too few values");
        let moved = units.behind(&permutation()).expect("a permutation");
        assert_eq!((moved.mean, moved.scale), (vec![20.0, 0.5, -1.0], vec![1.7, 0.1, 3.0]));
    }

    #[test]
    fn a_flow_of_normalizations_linear_layers_and_others_keeps_none_of_the_normalizations() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut pieces = vec![normalization(&mut rng)];
        for _ in 0..3 {
            let parameters: Vec<f32> = (0..12).map(|_| rng.random_range(-0.8..0.8)).collect();
            let linear = piece(&TrainedLuLinear::new(3), &parameters);
            pieces.extend([normalization(&mut rng), permutation(), linear, cube()]);
        }
        check(pieces, "Chain<Standardize<3>, [Chain<Permute<3>, Chain<LuLinear<3>, Cube<Libm>>>; 3]>");
    }

    #[test]
    fn what_stands_behind_other_layers_stays() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut a = || normalization(&mut rng);
        check(vec![a(), cube(), a()], "Chain<Standardize<3>, Chain<Cube<Libm>, Standardize<3>>>");
        check(vec![permutation(), a()], "Chain<Permute<3>, Standardize<3>>");
        // One of three equal units would be another type than the others.
        let unit = |first: Piece, rest: [Piece; 2]| [vec![first], rest.to_vec()].concat();
        let units: Vec<Piece> = (0..3).flat_map(|_| unit(a(), [permutation(), cube()])).collect();
        let pieces = [vec![normalization(&mut ChaCha8Rng::seed_from_u64(3))], units].concat();
        assert_eq!(fold(pieces.clone()), pieces);
        let Layer::Permute(Permute { features: 3 }) = pieces[2].0 else { panic!("a permutation of three") };
    }
}
