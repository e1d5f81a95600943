//! A picture with a palette.

use std::convert::Infallible;

use anyhow::Result;
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_6X10;
use embedded_graphics::pixelcolor::Gray8;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};

/// Colours of a heat map. Few, so that a picture is small.
pub const HEATS: u8 = 32;

/// Behind the heats in the palette.
pub const PAPER: u8 = HEATS;
/// Of text.
pub const INK: u8 = HEATS + 1;
/// Of points.
pub const POINT: u8 = HEATS + 2;
/// Of frames.
const FRAME: u8 = HEATS + 3;

/// Anchors of matplotlib's magma, which is even to the eye and in grey.
const MAGMA: [[u8; 3]; 9] = [
    [0, 0, 4],
    [28, 16, 68],
    [79, 18, 123],
    [129, 37, 129],
    [181, 54, 122],
    [229, 80, 100],
    [251, 135, 97],
    [254, 194, 135],
    [252, 253, 191],
];

/// Pixels that are places in the palette.
pub struct Canvas {
    size: Size,
    pixels: Vec<u8>,
}

impl Canvas {
    /// Of paper.
    pub fn new(width: u32, height: u32) -> Self {
        Self { size: Size::new(width, height), pixels: vec![PAPER; width as usize * height as usize] }
    }

    /// Colours a pixel; one that is not on the canvas is left out.
    pub fn set(&mut self, x: i32, y: i32, colour: u8) {
        let (Ok(column), Ok(row)) = (usize::try_from(x), usize::try_from(y)) else { return };
        let width = self.size.width as usize;
        if column < width
            && let Some(pixel) = self.pixels.get_mut(row * width + column)
        {
            *pixel = colour;
        }
    }

    /// Writes words, centred at `x`, their upper edge at `y`.
    pub fn centred(&mut self, words: &str, x: i32, y: i32) {
        self.write(words, x, y, Alignment::Center);
    }

    /// Writes words from `x` on, their upper edge at `y`.
    pub fn text(&mut self, words: &str, x: i32, y: i32) {
        self.write(words, x, y, Alignment::Left);
    }

    fn write(&mut self, words: &str, x: i32, y: i32, alignment: Alignment) {
        let style = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Top).build();
        let character = MonoTextStyle::new(&FONT_6X10, Gray8::new(INK));
        let Ok(_) = Text::with_text_style(words, Point::new(x, y), character, style).draw(self);
    }

    /// A frame around a square of `side` pixels.
    pub fn frame(&mut self, x: i32, y: i32, side: u32) {
        let square = Rectangle::new(Point::new(x - 1, y - 1), Size::new(side + 2, side + 2));
        let Ok(()) = square.into_styled(PrimitiveStyle::with_stroke(Gray8::new(FRAME), 1)).draw(self);
    }

    /// The bytes of a PNG file.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.size.width, self.size.height);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette());
        encoder.set_compression(png::Compression::High);
        encoder.set_filter(png::Filter::NoFilter);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }
}

fn palette() -> Vec<u8> {
    let heat = |heat: u8| {
        let place = f64::from(heat) / f64::from(HEATS - 1) * (MAGMA.len() - 1) as f64;
        let low = (place as usize).min(MAGMA.len() - 2);
        let mixed = |channel: usize| {
            let [from, to] = [low, low + 1].map(|anchor| f64::from(MAGMA[anchor][channel]));
            (from + (to - from) * (place - low as f64)).round() as u8
        };
        [mixed(0), mixed(1), mixed(2)]
    };
    (0..HEATS).map(heat).chain([[255, 255, 255], [0, 0, 0], [59, 15, 112], [160, 160, 160]]).flatten().collect()
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Canvas {
    type Color = Gray8;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Gray8>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            self.set(at.x, at.y, colour.luma());
        }
        Ok(())
    }
}
