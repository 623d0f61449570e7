//! The ratios as bars.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::Outcome;

/// Draws how many times better than each peer we are, one group of bars for each workload.
pub fn ratios(outcomes: &[Outcome], path: &Path) -> Result<(), Box<dyn Error>> {
    let rows: Vec<(String, f64, bool)> = outcomes.iter().flat_map(rows).collect();
    let height = u32::try_from(rows.len())? * ROW + 2 * MARGIN;
    let most = rows.iter().map(|(_, ratio, _)| *ratio).fold(2.0, f64::max);
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    // A scale of powers: twice as good is as far from equal as half as good.
    let least = rows.iter().map(|(_, ratio, _)| *ratio).fold(0.5, f64::min);
    let x = |ratio: f64| {
        let share = (ratio / least).ln() / (most / least).ln();
        i32::try_from(LABELS).unwrap_or_default() + (share * f64::from(WIDTH - LABELS - 60)) as i32
    };
    let text = |size: i32| TextStyle::from(("sans-serif", size).into_font()).color(&BLACK);
    let bottom = i32::try_from(height - MARGIN)?;
    for tick in [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0] {
        if tick < least || tick > most {
            continue;
        }
        let shade = if tick == 1.0 { BLACK.mix(0.8) } else { BLACK.mix(0.15) };
        let line = vec![(x(tick), i32::try_from(MARGIN)?), (x(tick), bottom)];
        root.draw(&PathElement::new(line, shade))?;
        let style = text(12).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(format!("{tick}×"), (x(tick), bottom + 4), style))?;
    }
    let title = "Times better than each peer (right of 1× is better; logarithmic)";
    root.draw(&Text::new(title, (10, 10), text(15)))?;
    for (index, (label, ratio, is_best)) in rows.iter().enumerate() {
        let top = i32::try_from(MARGIN + u32::try_from(index)? * ROW)?;
        let (from, to) = (x(1.0).min(x(*ratio)), x(1.0).max(x(*ratio)));
        let color = if *is_best { RGBColor(31, 119, 180) } else { RGBColor(160, 196, 226) };
        root.draw(&Rectangle::new([(from, top + 3), (to, top + 15)], color.filled()))?;
        let style = text(12).pos(Pos::new(HPos::Right, VPos::Top));
        root.draw(&Text::new(label.clone(), (i32::try_from(LABELS)? - 8, top + 2), style))?;
        root.draw(&Text::new(format!("{ratio:.1}×"), (to + 4, top + 2), text(12)))?;
    }
    root.present()?;
    Ok(())
}

/// For each peer a label, the ratio, and whether it is the best of its workload.
fn rows(outcome: &Outcome) -> impl Iterator<Item = (String, f64, bool)> + '_ {
    let (ours, best) = (outcome.ours().median, outcome.best_peer().median);
    outcome.peers().map(move |peer| {
        let label = format!("{}: {}", outcome.workload.name, peer.name);
        (label, outcome.workload.ratio(ours, peer.median), peer.median.total_cmp(&best).is_eq())
    })
}

const WIDTH: u32 = 900;
const LABELS: u32 = 370;
const ROW: u32 = 20;
const MARGIN: u32 = 36;
