"""Whether a picture can be read in print."""

LEAST_POINTS = 7.0


def overlap(a, b, slack):
    return a.x0 + slack < b.x1 and b.x0 + slack < a.x1 and a.y0 + slack < b.y1 and b.y0 + slack < a.y1


def texts_of(figure):
    """Every text that is drawn."""
    found = [text for text in (figure._suptitle, figure._supxlabel, figure._supylabel) if text is not None]
    for legend in figure.legends:
        found += [*legend.get_texts(), legend.get_title()]
    for axes in figure.axes:
        found += [*axes.texts, axes.title, axes._left_title]
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                found.append(axis.label)
                for tick in axis._update_ticks():
                    found += [tick.label1, tick.label2]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def faults_of(figure):
    """What is wrong with a figure: text that is too small, cut off or upon other text, a legend or heading upon axes."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found = []
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts_of(figure)]
    for text in texts_of(figure):
        if text.get_fontsize() < LEAST_POINTS:
            found.append(f"{text.get_text()!r} has {text.get_fontsize():g} points")
    page = figure.bbox
    for i, (text, box) in enumerate(boxes):
        if box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > page.x1 + 0.5 or box.y1 > page.y1 + 0.5:
            found.append(f"{text!r} reaches over the page")
        for other, second in boxes[i + 1:]:
            if overlap(box, second, slack=0.5):
                found.append(f"{text!r} lies upon {other!r}")
    blocks = [(f"axes {i}", axes.get_tightbbox(renderer)) for i, axes in enumerate(figure.axes)]
    blocks += [(f"legend {i}", legend.get_window_extent(renderer)) for i, legend in enumerate(figure.legends)]
    if figure._suptitle is not None:
        blocks.append(("heading", figure._suptitle.get_window_extent(renderer)))
    for i, (name, box) in enumerate(blocks):
        for other, second in blocks[i + 1:]:
            if box is not None and second is not None and overlap(box, second, slack=2):
                found.append(f"{name} lies upon {other}")
    return found
