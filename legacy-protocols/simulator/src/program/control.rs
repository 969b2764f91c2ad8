//! Orders from a socket and from the terminal: one a line, each answered.
//!
//! An answer is any number of lines that begin with two blanks, then `ok` or `error: why`.

use std::path::Path;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::run::Ask;

/// Longer ones are no orders.
const LONGEST: usize = 4096;

pub(super) fn listen(path: &Path, tell: mpsc::Sender<Ask>) -> Result<()> {
    remove_old_socket(path)?;
    let listener = UnixListener::bind(path)
        .with_context(|| format!("orders cannot be taken at {}", path.display()))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let (read, write) = stream.into_split();
                // Whoever goes away is not told why.
                let _ = converse(read, write, tell).await;
            });
        }
    });
    Ok(())
}

/// A socket that nobody listens on any more is in the way of ours.
fn remove_old_socket(path: &Path) -> Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    if is_socket {
        std::fs::remove_file(path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Until its end, or until nobody answers any more.
pub(super) async fn converse(
    read: impl AsyncRead + Unpin,
    mut write: impl AsyncWrite + Unpin,
    tell: mpsc::Sender<Ask>,
) -> Result<()> {
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match line.len() {
            ..=LONGEST => ask(&tell, line).await?,
            _ => Err("an order has at most 4096 characters".to_owned()),
        };
        let mut text = String::new();
        match answer {
            Ok(said) => {
                for line in said.lines() {
                    text.push_str("  ");
                    text.push_str(line);
                    text.push('\n');
                }
                text.push_str("ok\n");
            }
            Err(why) => {
                text.push_str("error: ");
                text.push_str(&why);
                text.push('\n');
            }
        }
        write.write_all(text.as_bytes()).await?;
        write.flush().await?;
    }
    Ok(())
}

/// What the site answers to an order.
pub(super) async fn ask(tell: &mpsc::Sender<Ask>, order: String) -> Result<Result<String, String>> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    tell.send(Ask { order, answer })
        .await
        .context("the site has ended")?;
    answered.await.context("the site has ended")
}
