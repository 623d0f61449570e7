//! docs/congestion.md and its plot.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use plotters::prelude::*;

use crate::cases::Outcome;

/// In what a case falls short of its floors.
pub fn problems(outcome: &Outcome) -> Vec<String> {
    let floors = outcome.case.floors;
    let is_quick = floors.convergence.is_none_or(|most| outcome.convergence.is_some_and(|took| took <= most));
    let checks = [
        (outcome.utilisation >= floors.utilisation, "utilisation", outcome.utilisation),
        (outcome.p95 <= floors.p95, "delay", outcome.p95 as f64),
        (outcome.loss <= floors.loss, "loss", outcome.loss),
        (outcome.fairness >= floors.fairness, "fairness", outcome.fairness),
        (outcome.share >= floors.share, "share", outcome.share),
        (is_quick, "convergence", outcome.convergence.map_or(f64::INFINITY, |seconds| seconds as f64)),
    ];
    let failed = checks.into_iter().filter(|(holds, ..)| !holds);
    failed.map(|(_, what, value)| format!("{}: {what} {value:.2}", outcome.case.name)).collect()
}

pub fn table(outcomes: &[Outcome]) -> String {
    let mut table = String::from(
        "| case | | utilisation | queue p50 | queue p95 | loss | convergence | fairness | media's share |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for outcome in outcomes {
        let convergence =
            outcome.convergence.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds} s"));
        writeln!(
            table,
            "| {} | {} | {:.0} % | {} ms | {} ms | {:.1} % | {convergence} | {:.2} | {:.0} % |",
            outcome.case.name,
            outcome.case.what,
            outcome.utilisation,
            outcome.p50,
            outcome.p95,
            outcome.loss,
            outcome.fairness,
            outcome.share,
        )
        .unwrap();
    }
    table
}

/// Median and worst of the runs of each case, which follow each other.
pub fn spread(outcomes: &[Outcome]) -> String {
    let mut table = String::from(
        "| case | utilisation | queue p50 | queue p95 | loss | convergence | fairness | media's share |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for runs in outcomes.chunk_by(|one, other| std::ptr::eq(one.case, other.case)) {
        // The worst is the highest of what ought to be low, and the other way around.
        let figures = |of: &dyn Fn(&Outcome) -> f64, is_low: bool| {
            let mut all: Vec<f64> = runs.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            let worst = if is_low { all[all.len() - 1] } else { all[0] };
            let (low, high) = (all[(all.len() - 1) / 2], all[all.len() / 2]);
            (f64::midpoint(low, high), worst)
        };
        let whole = |(median, worst): (f64, f64)| format!("{median:.0} / {worst:.0}");
        let parts = |(median, worst): (f64, f64)| format!("{median:.2} / {worst:.2}");
        let convergence = |run: &Outcome| run.convergence.map_or(f64::INFINITY, |seconds| seconds as f64);
        writeln!(
            table,
            "| {} | {} % | {} ms | {} ms | {} % | {} s | {} | {} % |",
            runs[0].case.name,
            whole(figures(&|run| run.utilisation, false)),
            whole(figures(&|run| run.p50 as f64, true)),
            whole(figures(&|run| run.p95 as f64, true)),
            parts(figures(&|run| run.loss, true)),
            whole(figures(&convergence, true)),
            parts(figures(&|run| run.fairness, false)),
            whole(figures(&|run| run.share, false)),
        )
        .unwrap();
    }
    table
}

/// Writes the page and its plot into the folder of documents.
pub fn write(outcomes: &[Outcome], folder: &Path) -> Result<(), Box<dyn Error>> {
    plot(outcomes, &folder.join("plots/congestion.svg"))?;
    let text = include_str!("page.md").replace("{table}", table(outcomes).trim_end());
    fs::write(folder.join("congestion.md"), text)?;
    Ok(())
}

fn plot(outcomes: &[Outcome], path: &Path) -> Result<(), Box<dyn Error>> {
    let rows = outcomes.len().div_ceil(2);
    let root = SVGBackend::new(path, (1100, u32::try_from(rows)? * 230)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, outcome) in root.split_evenly((rows, 2)).iter().zip(outcomes) {
        let most = outcome.capacities.iter().max().copied().unwrap_or(1) as f64 / 1e6 * 1.1;
        let mut chart = ChartBuilder::on(area)
            .caption(format!("{}: Mbit/s over seconds", outcome.case.name), ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(22)
            .y_label_area_size(36)
            .build_cartesian_2d(0..outcome.capacities.len(), 0.0..most)?;
        chart.configure_mesh().light_line_style(TRANSPARENT).draw()?;
        let points = |rates: &[u64]| -> Vec<(usize, f64)> {
            rates.iter().enumerate().map(|(second, rate)| (second, *rate as f64 / 1e6)).collect()
        };
        chart.draw_series(LineSeries::new(points(&outcome.capacities), BLACK.mix(0.5)))?;
        for (number, (name, rates)) in outcome.series.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            let series = chart.draw_series(LineSeries::new(points(rates), color))?;
            series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 12, y)], color));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.7))
            .draw()?;
    }
    root.present()?;
    Ok(())
}
