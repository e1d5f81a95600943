use std::fmt::{self, Display};

/// Where in its file a reading is, as messages have it behind the file's name and a colon. Places of one file are in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The line that it begins on, as in an editor: the header is line 1, and a quoted line break counts too.
    Line(u64),
    /// The row of a file without lines.
    Row {
        /// What its rows are divided into: `row group` or `record batch`.
        part: &'static str,
        /// Which of them, from 0 as the formats' tools count.
        number: usize,
        /// Which row of it, from 0.
        row: u64,
    },
}

impl Place {
    /// The place so many readings on, if none between has more than one line and all are of one part.
    fn after(self, readings: u64) -> Self {
        match self {
            Self::Line(line) => Self::Line(line + readings),
            Self::Row { part, number, row } => Self::Row { part, number, row: row + readings },
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "{line}"),
            Self::Row { part, number, row } => write!(f, " row {row} of {part} {number}"),
        }
    }
}

/// The places of many readings, in little memory where they follow each other.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The first reading of each run of neighbours, and its place.
    runs: Vec<(usize, Place)>,
    readings: usize,
}

impl Places {
    /// Adds the place of the next reading.
    pub(super) fn push(&mut self, place: Place) {
        let follows = self.runs.last().is_some_and(|(first, of)| of.after((self.readings - first) as u64) == place);
        if !follows {
            self.runs.push((self.readings, place));
        }
        self.readings += 1;
    }

    /// Those of the given readings.
    #[must_use]
    pub fn select(&self, readings: &[usize]) -> Self {
        let mut selected = Self::default();
        readings.iter().for_each(|reading| selected.push(self.of(*reading)));
        selected
    }

    /// The place of a reading.
    ///
    /// # Panics
    /// If there is no such reading.
    #[must_use]
    pub fn of(&self, reading: usize) -> Place {
        assert!(reading < self.readings, "a reading that has been given a place");
        let (first, place) = self.runs[self.runs.partition_point(|(first, _)| *first <= reading) - 1];
        place.after((reading - first) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_again() {
        let lines = [2, 3, 4, 9, 10, 13].map(Place::Line);
        let rows = [(0, 1), (0, 2), (1, 1), (1, 4)].map(|(number, row)| Place::Row { part: "row group", number, row });
        for all in [&lines[..], &rows] {
            let mut places = Places::default();
            all.iter().for_each(|place| places.push(*place));
            assert!(all.iter().enumerate().all(|(reading, place)| places.of(reading) == *place), "{places:?}");
            assert!(places.runs.len() < all.len());
        }
    }
}
