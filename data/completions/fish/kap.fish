# SPDX-FileCopyrightText: 2026 Kapsule contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Installed as share/fish/vendor_completions.d/kap.fish. The program itself knows what can come next.
COMPLETE=fish kap | source
