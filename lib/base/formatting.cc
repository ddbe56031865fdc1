// The half of fmt that need not be a header, compiled once: header-only, every file that formats a
// text would compile it again, which takes longer than the rest of the file. (Debian's libfmt is no
// way out: LibTorch brings headers of a later version, and they come first.)
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE

template FMT_API auto locale_ref::get<std::locale>() const -> std::locale;

namespace detail {

template FMT_API auto dragonbox::to_decimal(float x) noexcept -> dragonbox::decimal_fp<float>;
template FMT_API auto dragonbox::to_decimal(double x) noexcept -> dragonbox::decimal_fp<double>;
template FMT_API auto thousands_sep_impl(locale_ref loc) -> thousands_sep_result<char>;
template FMT_API auto thousands_sep_impl(locale_ref loc) -> thousands_sep_result<wchar_t>;
template FMT_API auto decimal_point_impl(locale_ref loc) -> char;
template FMT_API auto decimal_point_impl(locale_ref loc) -> wchar_t;

}  // namespace detail
FMT_END_NAMESPACE
