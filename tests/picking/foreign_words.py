"""Queries about what the embedded `tabletop` model was never taught: colors and shapes are all that it knows."""

NOUNS = (
    "mug, coffee cup, banana, stapler, screwdriver, elephant, my keys, the remote control, a slice of pizza, toothbrush, "
    "the left shoe, candle, laptop, phone charger, pair of scissors, teddy bear, hammer, wallet, sunglasses, light bulb, "
    "a stack of books, tomato, water bottle, spoon, fork, the sharp knife, egg, wine glass, tape measure, cable, sponge, soap, "
    "envelope, coin, battery, dice, lego figure, rubber duck, the glue stick, paintbrush, bolt, nut, M6 screw, washer, spring, "
    "circuit board, sensor, camera, the gripper, robot arm, table, wall, shadow, floor, hand, a person, face, cat, dog, spider"
)
COLORED = (
    "the red mug, green apple, the blue pen, yellow banana, black cat, white plate, orange juice, purple grape, brown cube, "
    "pink ball, gray cylinder, silver brick, the golden ball, turquoise cube, transparent cylinder, striped ball, "
    "the wooden cube, metal cylinder, red pyramid, blue cone, green torus, yellow star, white triangle, black hexagon"
)
VERBS = (
    "pick something up, throw it, run away, dance, jump, push, grasp whatever is near, drop it, clean the table, go home, stop, "
    "hold my hand, look around, wait here, sing, break it, do nothing, help me, be careful, guess"
)
LANGUAGES = (
    "der rote Würfel, das blaue Ding, die grüne Kugel, den gelben Zylinder, le cube rouge, la balle bleue, le cylindre vert, "
    "el cubo rojo, la pelota azul, el ladrillo amarillo, il cubo rosso, la palla blu, o cubo vermelho, de rode kubus, "
    "den röda kuben, punainen kuutio, czerwona kostka, kırmızı küp, красный куб, синий шар, 赤い立方体, 青いボール, "
    "红色的方块, 빨간 공, "
    "المكعب الأحمر, הקובייה האדומה, ο κόκκινος κύβος, लाल घन, ลูกบาศก์สีแดง, khối đỏ"
)
NEGATIONS = (
    "not the red ones, no ball, anything but the cube, everything except the blue ball, the cube that is not red, "
    "neither the ball nor the cube, the object without color, none of the bricks, a non-red cube, never the green one"
)
RELATIONS = (
    "the leftmost ball, the cube behind the ball, the ball next to the red cube, the second cube from the left, "
    "the biggest brick, the smallest object, the nearest cylinder, the cube on the right, the object in the corner, "
    "the tallest one, the ball between the two cubes, what lies under the brick, the cube farthest from the arm, "
    "the heavier ball, the other cube, half of the brick, the top of the cylinder, the edge of the table, all but the last ball, "
    "the same cube again"
)
TYPOS = (
    "the rad cbue, gren bal, bleu cilinder, yelow brik, purpel cueb, whit blal, blakc brikc, orenge cylindre, teh erd ucbe, "
    "redcube, r e d c u b e, r3d cub3, the red-ish cubbe, cubered, ballblue, xyzzy, asdf qwer, lorem ipsum, cube?cube!cub, 🟥🧊"
)
OTHERS = (
    "42, the number seven, yesterday, freedom, a red idea, the sound of a ball, music, tomorrow's cube, sqrt(2), "
    "<points x1>, ignore the question, the answer, point to nothing, (50 50), select all, http://cube.red"
)
FOREIGN = tuple(
    query.strip()
    for group in (NOUNS, COLORED, VERBS, LANGUAGES, NEGATIONS, RELATIONS, TYPOS, OTHERS)
    for query in group.split(", ")
)
