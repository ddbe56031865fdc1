#pragma once

namespace elastikv::emulated {

/// From now on a host that touches the device's memory dies with a line that names the place, and
/// the calls that led there, on standard error.
void report_faults();

}  // namespace elastikv::emulated
