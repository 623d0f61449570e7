//! Our `interop-peer` against other stacks, by the rig that stands beside the checkout.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::command::{cargo, exists, root, run as run_command};

/// The few minutes of it that run with every change.
pub(crate) fn in_ci() -> Vec<String> {
    let names = [
        "dc-basic",
        "dc-empty",
        "dc-utf8",
        "dc-unordered",
        "dc-max-retransmits",
        "dc-negotiated",
        "dc-both-open",
        "dc-many",
        "dc-close-remote",
        "dc-close-flush",
        "dc-bulk-back",
        "no-trickle",
        "dtls-role-*",
        "bad-fingerprint-*",
        "bad-sdp",
        "close-*",
        "net-loss5",
        "net-reorder",
        "net-corrupt",
        "net-mtu",
        "relay-udp*",
        "relay-tcp*",
        "relay-tls*",
        "relay-both",
        "relay-rest",
        "relay-wrong-password",
        "nat-cone",
        "nat-symmetric",
        "nat-symmetric-cone",
        "mdns*",
        "audio-opus",
        "video-vp8",
        "bundle-all",
        "glare-implicit",
        "renegotiate-stop",
    ];
    names.map(str::to_owned).to_vec()
}

fn run_driver(peer: &str, scenarios: &str, argument: &str) -> Result {
    let rig = root().join("../shared/interop");
    let ours = root().join("target/counted/interop-peer");
    let mut driver = Command::new("python3");
    driver.arg(rig.join("driver.py")).args(["--a", &format!("ours:{}{argument}", ours.display())]);
    // Those that the rig does not have.
    let script = |name| format!("{peer}:node {}", root().join("xtask/interop").join(name).display());
    let other = match peer {
        "ours" => format!("ours:{}", ours.display()),
        "firefox" => script("firefox.mjs"),
        "libdatachannel" | "libwebrtc" | "werift" => {
            driver.env("NODE_PEER", peer).env("NODE_PACKAGES", node_packages()?);
            script("node.mjs")
        }
        _ => peer.to_owned(),
    };
    driver.env("W3C_PEER_DIR", rig.join("peers"));
    driver.args(["--b", &other, "--swap", "--scenario", scenarios]);
    run_command(&mut driver)
}

/// Installs the stacks that run in Node, and says where.
fn node_packages() -> Result<PathBuf> {
    let folder = root().join("target/node");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).args(NODE_PACKAGES);
    run_command(&mut npm)?;
    Ok(folder)
}

const NODE_PACKAGES: [&str; 3] = ["node-datachannel@0.33.4", "@roamhq/wrtc@0.10.0", "werift@0.24.4"];

/// Our side, as cargo builds it.
pub(crate) const BUILD: &str = "build --profile counted --locked -p peerline-cli --bin interop-peer";

/// Whether the rig is there.
pub(crate) fn is_possible() -> bool {
    root().join("../shared/interop/driver.py").exists()
}

pub(crate) fn run(peer: &str, scenarios: &[String]) -> Result {
    if !is_possible() {
        println!("interop is skipped: the rig is not at ../shared/interop");
        return Ok(());
    }
    cargo(BUILD)?;
    let scenarios = if scenarios.is_empty() { "*".to_owned() } else { scenarios.join(",") };
    run_driver(peer, &scenarios, "")
}

/// Another browser, with a few seconds for each.
pub(crate) fn run_firefox_in_ci() -> Result {
    if is_possible() && !exists("firefox-esr") {
        return Err("firefox-esr is missing: `apt-get install firefox-esr`".into());
    }
    let scenarios = ["dc-basic", "audio-opus", "video-vp8", "simulcast"];
    run("firefox", &scenarios.map(str::to_owned))
}

/// What CI runs: those few, and some where this side is ICE-lite, or can be reached over TCP alone.
pub(crate) fn run_in_ci(peer: &str) -> Result {
    run(peer, &in_ci())?;
    if is_possible() {
        for argument in [" --ice-lite", " --tcp-only"] {
            run_driver(peer, "dc-basic,dc-bulk,ice-restart", argument)?;
        }
    }
    Ok(())
}
