"""Under every picture of an audit page: one sentence on what it means, one on what to do."""

CAPTIONS: dict[str, tuple[str, str]] = {
    "collect": (
        "Each card shows reference images of a kind that this collection has too few of, and how "
        "many more of them would bring it level.",
        "name what the faces of a card have in common, and go and find that many more.",
    ),
    "reference_distance": (
        "The mark is how far apart the two sets lie; the grey bar is how far apart chance alone "
        "puts two sets of these sizes.",
        "take a mark inside the bar as no evidence of a difference, and one beyond it as a reason "
        "to look at the regions below.",
    ),
    "reference_regions": (
        "Each row is one kind of image: the circle is its share here, the diamond its share in "
        "the reference, the lines are their intervals.",
        "collect for the coloured rows, where the diamond lies to the right of the circle.",
    ),
    "reference_typical": (
        "Reference images of this kind, the clearest first.",
        "collect more that look like these.",
    ),
    "reference_nearest": (
        "The nearest that this collection has.",
        "if these show other people than the reference images do, the gap is about people; if only "
        "another light or background, it is about photographs.",
    ),
    "reference_wanted": (
        "Images of this collection that look most like what the reference has more of.",
        "look for what they share: of these there are too few here.",
    ),
    "reference_unwanted": (
        "Images of this collection that look least like the reference.",
        "look for what they share: of these there are more here than in the reference, so add no "
        "more.",
    ),
    "drift_distance": (
        "The mark is how far apart what is compared lies; the grey bar is how far apart chance "
        "alone puts two sets of these sizes.",
        "if the mark lies beyond the bar, ask what changed in how the images were collected.",
    ),
    "drift_regions": (
        "Each row is one kind of image: the circle is its share of what was added (or kept), the "
        "diamond that of the earlier version (or of what was removed), the lines their intervals.",
        "look into the coloured rows whose lines do not overlap: these have changed.",
    ),
    "drift_typical": (
        "Images of the earlier version of this kind.",
        "name what they share: of this kind there are now fewer or more, as the sentence above "
        "says, and that may or may not be wanted.",
    ),
    "drift_nearest": (
        "The nearest that this version has.",
        "compare them with the earlier ones: what differs is what has changed.",
    ),
    "drift_wanted": (
        "Images of this version that look most like what the earlier one had more of.",
        "look for what they share: of these there are fewer now.",
    ),
    "drift_unwanted": (
        "Images of this version that look least like the earlier one.",
        "look for what they share: this is what is new.",
    ),
    "group_shares": (
        "Each mark is the share of a group with its interval; the upright stroke is the share that "
        "the group was declared to have.",
        "collect images of the groups whose whole line lies left of the stroke.",
    ),
    "group_rarity": (
        "Left: whether members of a group are rarer in looks than other images, where 0.5 means no "
        "rarer; right: the share of the group in the images (hollow) and in the weight (filled).",
        "rely on the weights only for groups whose line lies right of 0.5; others they cannot "
        "find, so collect or annotate those.",
    ),
    "region_strip": (
        "Drawn by the model itself: the way from an ordinary image, on the left, to this region, "
        "on the right.",
        "name what changes from left to right: of that there is little here.",
    ),
    "region_typical": (
        "Images from the middle of this region.",
        "if they show a kind of people, collect more of them; if a kind of photograph, leave it.",
    ),
    "region_opposite": (
        "Images from the bulk of the collection, to compare with.",
        "name the difference: that is what is rare here, and what to collect if you need it.",
    ),
    "directions_chart": (
        "Each row is one way in which the images differ; the mark is the share of images in the "
        "lower half of its range, and an even collection has half there.",
        "look first at the directions whose mark is far from the dashed line.",
    ),
    "direction_strip": (
        "Drawn by the model itself: the way from the low end of this direction to its high end.",
        "name what changes from left to right.",
    ),
    "direction_low": (
        "Images at its low end.",
        "compare them with the high end, to see which people or photographs lie there.",
    ),
    "direction_high": (
        "Images at its high end.",
        "collect more of the end that holds fewer images, if it is one that you need.",
    ),
    "coverage": (
        "Top: the share of the images in each cell of the landscape, fullest first, beside a "
        "dashed line where all are equally full; below: two summaries, beside the range (grey) "
        "that a single bell-shaped cloud would show.",
        "worry when a mark lies outside its grey range on the uneven side, which is left for the "
        "number of cells and right for the densest tenth.",
    ),
    "map_faces": (
        "A map on which images that look alike lie close together, with some of the faces in "
        "their places.",
        "look for faces that stand alone at the edges: few others look like them.",
    ),
    "map_density": (
        "The same map; the darker a point, the fewer images look like it.",
        "find the dark spots on the map with faces, and ask who or what lies there.",
    ),
    "map_regions": (
        "The same map with the thin regions in colour.",
        "read about the region of each colour among the thin regions above.",
    ),
    "map_cluster": (
        "The same map with the clusters numbered and the six smallest in colour.",
        "look up the small ones among the clusters below: they are the rare kinds of image.",
    ),
    "map_annotation": (
        "The same map by annotation.",
        "look for colours in a clump of their own: these groups the model can tell apart, and a "
        "group spread over the map it cannot find by looks.",
    ),
    "clusters_chart": (
        "Each row is a group of images that look alike: its share with an interval, and how "
        "crowded it is beside a typical image.",
        "look at the smallest ones below before you trust that your collection has everybody.",
    ),
    "cluster_typical": (
        "The most typical images of each cluster, the smallest cluster first.",
        "name what the images of a cluster share; if it is a kind of people, ask whether its share "
        "is what you need.",
    ),
    "least": (
        "The images with the emptiest surroundings, loneliest first.",
        "tell rare people, of whom to collect more, from broken or odd images, which to take out.",
    ),
    "most": (
        "The images with the most crowded surroundings.",
        "add no more of these: the collection is full of them.",
    ),
    "anomalies": (
        "The images that the model explains worst; a higher number of nats means a worse one.",
        "look for broken files and wrong crops first, then for people whom the model never "
        "learned to draw.",
    ),
}
