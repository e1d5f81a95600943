//! Between values and their bytes, where zerocopy has no function for generic types yet.
//!
//! zerocopy reads images at run time, safely, and its derives prove that every bit pattern of a type is valid. In const
//! evaluation it has no function for generic types yet, so this one does what `FromBytes::read_from_bytes` does. Nor does it
//! derive for them that they have no padding, so a value's bytes are read here, too.

use zerocopy::{FromBytes, Immutable};

/// The value whose image is `bytes`.
///
/// # Panics
/// If the lengths differ; [`Detector::from_file`](crate::Detector::from_file), which the compiler runs, has compared them
/// before.
#[allow(unsafe_code)]
pub(crate) const fn read<M: FromBytes>(bytes: &[u8]) -> M {
    assert!(bytes.len() == size_of::<M>());
    // SAFETY: `bytes` are as many initialized bytes as an `M` has, an unaligned read asks for no alignment, and
    // `FromBytes` promises that any initialized bytes are a valid `M`. `M` is read by copy of its bytes, which
    // `FromBytes` types allow: they own nothing.
    unsafe { bytes.as_ptr().cast::<M>().read_unaligned() }
}

/// The words of a value, read from memory one by one, whatever the compiler knows of it.
///
/// `M` has no padding, an alignment of four and a size of whole words, which the caller's types prove by their sizes:
/// [`Detector`](crate::Detector) compares its own with the sum of what it stores.
#[allow(unsafe_code)]
pub(crate) fn words<M: FromBytes + Immutable>(value: &M) -> impl Iterator<Item = u32> {
    const {
        assert!(align_of::<M>() == 4 && size_of::<M>().is_multiple_of(4));
    }
    let start = core::ptr::from_ref(value).cast::<u32>();
    (0..size_of::<M>() / 4).map(move |word| {
        // SAFETY: within `value`, which is borrowed for as long as the iterator lives; aligned as it is; initialized, as it
        // has no padding. Volatile: the bytes that are there count, and not those that the compiler has put there.
        unsafe { start.add(word).read_volatile() }
    })
}

#[cfg(test)]
mod tests {
    const BYTES: [u8; 9] = [9, 1, 2, 3, 4, 5, 6, 7, 8];

    #[test]
    fn reads_unaligned_images() {
        assert_eq!(super::read::<[u32; 2]>(&BYTES[1..]), [0x0403_0201, 0x0807_0605]);
    }

    #[test]
    fn words_are_those_in_memory() {
        assert!(super::words(&[7_u32, 1.0_f32.to_bits()]).eq([7, 0x3F80_0000]));
        assert_eq!(super::words(&[[1_u32; 3]; 5]).count(), 15);
    }

    #[test]
    #[should_panic(expected = "bytes.len() == size_of")]
    fn refuses_another_length() {
        super::read::<[u32; 2]>(&BYTES);
    }
}
