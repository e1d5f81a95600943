//! The one module with `unsafe`: reading a typed image in const evaluation.
//!
//! zerocopy reads images at run time, safely, and its derives prove that every bit pattern of a type is valid. In const
//! evaluation it has no function for generic types yet, so this one does what `FromBytes::read_from_bytes` does.

use zerocopy::FromBytes;

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

#[cfg(test)]
mod tests {
    const BYTES: [u8; 9] = [9, 1, 2, 3, 4, 5, 6, 7, 8];

    #[test]
    fn reads_unaligned_images() {
        assert_eq!(super::read::<[u32; 2]>(&BYTES[1..]), [0x0403_0201, 0x0807_0605]);
    }

    #[test]
    #[should_panic(expected = "bytes.len() == size_of")]
    fn refuses_another_length() {
        super::read::<[u32; 2]>(&BYTES);
    }
}
