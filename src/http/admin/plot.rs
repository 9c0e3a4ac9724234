//! Lines of the last hour, drawn here: points of an SVG, and the same in words. Pure.

use crate::observe::gauges::ring::POINTS;

/// Height of what is drawn, in its own units; the style sheet says how large that is.
const HEIGHT: f32 = 100.0;

/// A line that is drawn.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plot {
    /// The pieces of the line, between gaps, as `points` of a `polyline`.
    pub(super) lines: Vec<String>,
    /// How wide it is, in points.
    pub(super) width: usize,
    /// What it shows, for those who do not see it.
    pub(super) label: String,
}

impl Plot {
    /// Of points that end now, `width` of which are an hour; `top` is the highest that is drawn.
    pub(super) fn new(what: &str, points: &[Option<f32>], width: usize, top: f32, word: impl Fn(f32) -> String) -> Self {
        Self { lines: lines(points, width, top), width, label: label(what, points, word) }
    }

    /// Of a whole hour.
    pub(super) fn hour(what: &str, points: &[Option<f32>], top: f32, word: impl Fn(f32) -> String) -> Self {
        Self::new(what, points, POINTS, top, word)
    }
}

/// The highest point, and a little more, so that the line does not touch the edge.
pub(super) fn top_of<'a>(points: impl IntoIterator<Item = &'a Option<f32>>, least: f32) -> f32 {
    points.into_iter().flatten().copied().fold(0.0, f32::max).max(least / 1.1) * 1.1
}

fn lines(points: &[Option<f32>], width: usize, top: f32) -> Vec<String> {
    let begin = width.saturating_sub(points.len());
    let mut lines = Vec::new();
    for piece in pieces(points) {
        let mut line: Vec<String> = piece
            .iter()
            .map(|(number, value)| {
                let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
                format!("{},{:.1}", begin + number, HEIGHT - share * HEIGHT)
            })
            .collect();
        // One point alone is a dot: a line of its own length.
        if let ([only], [(number, _)]) = (line.as_slice(), piece.as_slice()) {
            let height = only.split_once(',').map_or("100", |(_, height)| height);
            line.push(format!("{}.6,{height}", begin + number));
        }
        lines.push(line.join(" "));
    }
    lines
}

/// The stretches between gaps, each point with its number.
fn pieces(points: &[Option<f32>]) -> Vec<Vec<(usize, f32)>> {
    let mut pieces: Vec<Vec<(usize, f32)>> = Vec::new();
    let mut is_gap = true;
    for (number, point) in points.iter().enumerate() {
        match point {
            Some(value) if is_gap => pieces.push(vec![(number, *value)]),
            Some(value) => pieces.last_mut().into_iter().for_each(|piece| piece.push((number, *value))),
            None => {}
        }
        is_gap = point.is_none();
    }
    pieces
}

fn label(what: &str, points: &[Option<f32>], word: impl Fn(f32) -> String) -> String {
    let known = || points.iter().flatten().copied();
    let (Some(low), Some(high)) = (known().reduce(f32::min), known().reduce(f32::max)) else {
        return format!("{what}: nothing is known yet");
    };
    let now = points.last().copied().flatten().map_or_else(|| "not known".to_owned(), &word);
    format!("{what} over the last hour: now {now}, lowest {}, highest {}", word(low), word(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::figures::percent;

    #[test]
    fn a_line_ends_at_the_right_and_a_gap_is_a_gap() {
        let points = [Some(0.0), Some(50.0), None, Some(100.0), None, Some(25.0), Some(200.0)];
        let plot = Plot::new("CPU", &points, 10, 100.0, percent);
        assert_eq!(plot.lines, ["3,100.0 4,50.0", "6,0.0 6.6,0.0", "8,75.0 9,0.0"]);
        assert_eq!(plot.label, "CPU over the last hour: now 200 %, lowest 0.0 %, highest 200 %");
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert_eq!(Plot::hour("CPU", &[], 100.0, percent).label, "CPU: nothing is known yet");
        let gone = Plot::hour("CPU", &[Some(10.0), None], 100.0, percent);
        assert!(gone.label.contains("now not known"), "{}", gone.label);
        assert!(Plot::hour("CPU", &[None, None], 100.0, percent).lines.is_empty());
    }

    #[test]
    fn the_top_is_a_little_above_the_highest_point() {
        assert!((top_of(&[Some(10.0), None], 1.0) - 11.0).abs() < 0.001);
        assert!((top_of(&[None], 1.0) - 1.0).abs() < 0.001);
    }
}
