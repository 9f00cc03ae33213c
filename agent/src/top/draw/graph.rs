//! The last minutes as bars, the latest on the right.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::super::style::{DIM, Theme};

const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws as many values as there are columns.
pub(super) fn draw(values: &[u64], theme: Theme, area: Rect, buffer: &mut Buffer) {
    let columns = usize::from(area.width).min(values.len());
    let latest = values.get(values.len() - columns..).unwrap_or_default();
    let most = latest.iter().copied().max().unwrap_or(0).max(1);
    let levels = u128::from(area.height) * 8;
    let from = area.right() - u16::try_from(columns).unwrap_or(0);
    for (x, value) in (from..).zip(latest) {
        // What is there is seen, however small.
        let level = (u128::from(*value) * levels).div_ceil(u128::from(most));
        for line in 0..area.height {
            let below = u128::from(area.height - 1 - line) * 8;
            let eighths = usize::try_from(level.saturating_sub(below).min(8)).unwrap_or(8);
            let floor = eighths == 0 && line + 1 == area.height;
            let sign = if floor { "▁" } else { EIGHTHS.get(eighths).copied().unwrap_or("█") };
            let style = if floor { DIM } else { theme.accent() };
            Line::styled(sign, style).render(Rect { x, y: area.y + line, width: 1, height: 1 }, buffer);
        }
    }
}
