// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Programs inside play and record, with PipeWire's own clients and PulseAudio's.

use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, Host, shared};

use super::{hosts, inside, inside_meanwhile};

/// Where PipeWire's clients have their parts, which they know by path.
pub(super) const PARTS: &str = "host=/.kapsule/host; lib=$host/usr/lib/$(uname -m)-linux-gnu; \
    export PIPEWIRE_CONFIG_DIR=$host/usr/share/pipewire PIPEWIRE_MODULE_DIR=$(ls -d $lib/pipewire-0.3) \
    SPA_PLUGIN_DIR=$(ls -d $lib/spa-0.2);";

/// Two seconds of a tone at 48 kHz, 16 bit, one channel: a file of format WAVE.
fn tone() -> Vec<u8> {
    const SAMPLES: u32 = 96_000;
    let length = SAMPLES * 2;
    let samples: Vec<u8> = (0..SAMPLES)
        .flat_map(|n| {
            let up = n / 50 % 2 == 0;
            (if up { 16_000_i16 } else { -16_000 }).to_le_bytes()
        })
        .collect();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(48_000_u32.to_le_bytes());
    file.extend(96_000_u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples);
    file
}

/// How many samples of a recording are loud.
fn loud(file: &str) -> usize {
    let recording = ALICE.run(["cat", file]).stdout;
    let samples = recording.get(44..).unwrap_or_default().chunks_exact(2);
    samples
        .filter(|it| i16::from_le_bytes([it[0], it[1]]).unsigned_abs() > 4_000)
        .count()
}

fn plays_and_records(host: &Host, container: &Container, play: &str, record: &str) {
    let file = "/home/alice/t-recording.wav";
    ALICE.sh(&format!("rm -f {file}")).ok();
    let mut recording = inside_meanwhile(container, "", &format!("{PARTS} {record} {file}"));
    host.wait_until("it records", || {
        assert!(recording.is_running(), "{}", recording.stderr());
        ALICE.run(["test", "-s", file]).status == 0
    });
    inside(
        container,
        "",
        &format!("{PARTS} {play} /home/alice/t-tone.wav"),
    )
    .ok();
    host.wait_until("the tone is in the recording", || loud(file) > 24_000);
}

#[test]
fn playing_and_recording() {
    let Some(host) = shared() else { return };
    let container = common();
    ALICE
        .sh("systemctl --user start pipewire.socket pipewire-pulse.socket wireplumber.service")
        .ok();
    let sink = ALICE
        .sh("pactl load-module module-null-sink sink_name=t-sink rate=48000 channels=1 channel_map=mono")
        .ok();
    ALICE
        .command(["sh", "-c", "cat > ~/t-tone.wav"])
        .stdin(tone())
        .run()
        .ok();
    // PulseAudio's clients through PipeWire's server of that protocol.
    plays_and_records(
        &host,
        container,
        &format!("{} --device=t-sink", hosts("paplay")),
        &format!(
            "{} --device=t-sink.monitor --format=s16le --rate=48000 --channels=1 --file-format=wav",
            hosts("parecord")
        ),
    );
    // `pw-play` and `pw-record` are one program under two names.
    let pw_cat = hosts("pw-cat");
    plays_and_records(
        &host,
        container,
        &format!("{pw_cat} --playback --target t-sink"),
        &format!(
            "{pw_cat} --record --target t-sink --properties '{{ stream.capture.sink = true }}' \
             --format s16 --rate 48000 --channels 1"
        ),
    );
    ALICE
        .sh(&format!(
            "pactl unload-module {sink}; rm -f ~/t-tone.wav ~/t-recording.wav"
        ))
        .ok();
}
