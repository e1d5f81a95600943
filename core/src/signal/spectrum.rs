//! The power spectrum of a window, by microfft.

use microfft::Complex32;
use microfft::real::{
    rfft_8, rfft_16, rfft_32, rfft_64, rfft_128, rfft_256, rfft_512, rfft_1024, rfft_2048, rfft_4096,
};

use super::statistics::mean;
use crate::elementary::{Elementary, Libm};

/// The power of each frequency above 0 of a window, written over its first half but one; returns how many there are, up to
/// half of the samples: none if there is no transform of this length.
///
/// The mean is subtracted. A Hann window keeps a loud frequency out of distant bands; in the spectrum it is a sum of three neighbours, which
/// takes no table of cosines.
#[inline]
pub(super) fn powers(window: &mut [f32]) -> usize {
    let mean = mean(window);
    window.iter_mut().for_each(|value| *value -= mean);
    let half = window.len() / 2;
    {
        let spectrum: &mut [Complex32] = match window.len() {
            8 => transform(window, rfft_8),
            16 => transform(window, rfft_16),
            32 => transform(window, rfft_32),
            64 => transform(window, rfft_64),
            128 => transform(window, rfft_128),
            256 => transform(window, rfft_256),
            512 => transform(window, rfft_512),
            1024 => transform(window, rfft_1024),
            2048 => transform(window, rfft_2048),
            4096 => transform(window, rfft_4096),
            _ => return 0,
        };
        // microfft keeps the real amplitude of half the sampling rate where the imaginary part at 0 would be, which is 0.
        let (mut before, mut highest) = (Complex32::new(0.0, 0.0), 0.0);
        if let Some(first) = spectrum.first_mut() {
            highest = first.im;
            before = Complex32::new(first.re, 0.0);
        }
        for index in 1..half {
            let here = spectrum.get(index).copied().unwrap_or_default();
            let after = spectrum.get(index + 1).copied().unwrap_or(Complex32::new(highest, 0.0));
            let re = 0.5 * here.re - 0.25 * (before.re + after.re);
            let im = 0.5 * here.im - 0.25 * (before.im + after.im);
            before = here;
            // Its place has been read.
            if let Some(place) = spectrum.get_mut(index) {
                *place = Complex32::new(re * re + im * im, 0.0);
            }
        }
        if let Some(first) = spectrum.first_mut() {
            // Neighbours of half the sampling rate are mirrored.
            let re = 0.5 * highest - 0.5 * before.re;
            first.re = re * re;
        }
    }
    // The powers of 1 to half - 1 lie at every other place; that of half is at 0.
    let nyquist = window.first().copied().unwrap_or(0.0);
    for index in 1..half {
        let power = window.get(2 * index).copied().unwrap_or(0.0);
        if let Some(place) = window.get_mut(index - 1) {
            *place = power;
        }
    }
    if let Some(place) = half.checked_sub(1).and_then(|last| window.get_mut(last)) {
        *place = nyquist;
    }
    half
}

/// A window of `N` samples, transformed in place.
#[inline]
fn transform<const N: usize, const H: usize>(
    window: &mut [f32],
    rfft: fn(&mut [f32; N]) -> &mut [Complex32; H],
) -> &mut [Complex32] {
    match window.try_into() {
        Ok(window) => rfft(window),
        Err(_) => &mut [],
    }
}

/// Mean frequency, as a share of half the sampling rate, weighted by power; 0 without any.
#[inline]
pub(super) fn centroid(powers: &[f32]) -> f32 {
    let (mut sum, mut weighted) = (0.0_f32, 0.0_f32);
    for (index, power) in powers.iter().enumerate() {
        sum += *power;
        weighted += (index as f32 + 1.0) * *power;
    }
    if sum > 0.0 { weighted / (sum * powers.len() as f32) } else { 0.0 }
}

/// Writes the logarithm of the power in each of as many bands as there is place, of equal width but for rounding. A silent band has the
/// logarithm of the smallest normal f32.
#[inline]
pub(super) fn write_bands(powers: &[f32], out: &mut [f32]) {
    let bands = out.len();
    for (band, place) in out.iter_mut().enumerate() {
        let from = (band * powers.len()).checked_div(bands).unwrap_or(0);
        let to = ((band + 1) * powers.len()).checked_div(bands).unwrap_or(0);
        let power = powers.get(from..to).unwrap_or(&[]).iter().fold(f32::MIN_POSITIVE, |sum, power| sum + *power);
        *place = <Libm as Elementary<f32>>::ln(power);
    }
}
