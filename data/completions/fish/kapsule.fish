# SPDX-FileCopyrightText: 2026 Kapsule contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Installed as share/fish/vendor_completions.d/kapsule.fish. The program itself knows what can come next.
COMPLETE=fish kapsule | source
