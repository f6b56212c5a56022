/**
 * Words and keys in a row that many people take for a password, in lower case, without the digits and signs that they like to put behind.
 * What is tried first by everybody who guesses.
 */
const WORDS = `
password passwort passwd passw passwords pass passphrase passcode mypassword mypass newpass newpassword oldpassword changeme changeit
changethis change letmein letmeinnow letmego openup opensesame open sesame welcome welcomeback welcomehome hello hellothere
hellohello helloworld hi goodbye admin administrator administrators adminadmin adminpass root rootroot toor superuser super superman
supervisor sysadmin system systems manager management user username users usuario guest guests visitor test testing tester test123test
tests testtest demo demodemo sample example default temp temporary tmp login logon signin signup access account accounts secret secrets
secretword topsecret private public master masterkey key keys keyword unlock lock security secure safe safety trustno trustnoone trust
nothing something anything everything nobody somebody anybody everyone noone whatever none null undefined blank empty
qwerty qwert qwer qwertyui qwertyuiop qwertz qwertzui azerty azertyuiop asdf asdfg asdfgh asdfghjk asdfghjkl zxcv zxcvb zxcvbn zxcvbnm
qazwsx qazwsxedc wsxedc qweasd qweasdzxc asdzxc asdqwe zaqwsx zaq xsw zaqxsw poiuy poiuytrewq lkjhg lkjhgfdsa mnbvc mnbvcxz ytrewq
1qaz 1qaz2wsx 1qaz2wsx3edc 2wsx3edc 1q2w 1q2w3e 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y q1w2e3 q1w2e3r4 q1w2e3r4t5 1a2b3c 1a2b3c4d a1b2c3 a1b2c3d4
a1s2d3f4 z1x2c3v4 zaq12wsx zaq1zaq1 123qwe 123qweasd qwe123 qwe123qwe 12qwaszx qwaszx 1234qwer qwer1234 asdf1234 abcd1234 abc123 123abc
abc abcd abcde abcdef abcdefg abcdefgh abc123abc aabbcc aaabbb aaaa bbbb xxxx zzzz 
11111111 00000000 12341234 123123123 123321123 12344321 11223344 112233 121212 123123 123321 123454321 12345678 123456789 1234567890 87654321
987654321 0987654321 147258369 159753 159357 147147 741852963 789456123 321654987 963852741 13131313 69696969 55555555 66666666 77777777
88888888 99999999 22222222 33333333 44444444 12121212 10101010 10203040 01012000 20002000 31415926 
iloveyou iloveu iloveme iloveyousomuch iluvyou iluvu loveyou loveme lovely love lovelove lover lovers loverboy lovergirl mylove myself truelove
sweetheart sweet sweetie sweety sweetpea honey honeybun honeybee babe baby babyboy babygirl babydoll darling dearest angel angels angelbaby
princess prince queen king kings kingdom princesa cutie cutiepie beautiful beauty pretty gorgeous handsome sexy sexyboy sexygirl hottie
sunshine sunflower sunrise sunset sunny sun moon moonlight star stars starlight stardust starwars startrek sky skywalker skyline rainbow rain
snow snowball snowflake snowman winter spring summer summertime autumn january february march april may june july august september october
november december monday tuesday wednesday thursday friday saturday sunday birthday christmas holiday holidays easter halloween newyear
dragon dragons dragonball dragonfly monkey monkeys monkeyboy tiger tigers tigger lion lions lioness panther panthers eagle eagles falcon hawk
bear bears wolf wolves werewolf fox foxy rabbit bunny kitty kitten kittycat cat cats doggy dog dogs puppy puppies horse horses pony dolphin
dolphins shark sharks whale turtle butterfly spider spiderman bee bird birds chicken duck ducks penguin penguins elephant gorilla unicorn
dinosaur snake cobra viper phoenix griffin pegasus scorpion beetle hamster mouse buster rusty lucky bella buddy bailey molly maggie
rocky rocket max coco charlie ginger pepper peppers shadow smokey smoky oreo oscar simba toby jasper bandit bubba bubbles peanut
football footballer soccer baseball basketball hockey tennis golf golfer rugby cricket volleyball swimming swimmer running runner racing
racer skate skater skateboard surf surfer surfing boxing boxer wrestling karate ninja samurai judo snowboard cycling champion champions
winner winners victory liverpool chelsea arsenal manchester manutd united barcelona barca realmadrid madrid juventus milan inter
bayern ajax celtic rangers everton tottenham cowboys yankees lakers steelers packers redsox patriots raiders broncos giants dodgers
batman ironman hulk captain america avengers wolverine deadpool joker robin flash thor loki marvel pokemon pikachu charizard mario
luigi zelda sonic naruto sasuke goku vegeta minecraft fortnite roblox warcraft starcraft counterstrike callofduty overwatch diablo
matrix neo gandalf frodo hobbit legolas aragorn potter harrypotter hogwarts hermione dumbledore voldemort slytherin gryffindor yoda
darthvader vader jedi sith obiwan anakin chewbacca hansolo leia terminator rambo godzilla kingkong jamesbond sherlock dracula
zombie vampire witch wizard magic magical magician merlin mystery mystic ghost spirit soul heaven hell devil demon satan lucifer
jesus jesuschrist christ god godisgood godislove lord blessed blessing faith hope grace church bible amen allah
michael michelle jennifer jessica ashley amanda sarah samantha stephanie nicole elizabeth daniel danielle david robert andrew anthony
joshua matthew christopher christian justin brandon william alexander alexandra alexandr alexis victoria veronica vanessa valentina
natasha natalia natalie anastasia andrea angela angelica angelina anna annie maria mariana marina martina marie barbara carolina
caroline catherine christina christine claudia cristina diana elena eric erica gabriel gabriela george hannah heather helena
isabella isabelle jackson jacob james jasmine jason john johnny jonathan jordan jordan23 joseph julia julian karina katherine kevin
kimberly laura lauren leonardo linda lisa louise lucas madison margaret marcus marissa mark martin mary melissa mercedes monica
monique morgan nathan nicholas olivia patricia patrick paul pamela peter philip rachel rebecca richard ricardo roberto ronaldo
messi neymar beckham rosemary russell ryan sabrina sandra sebastian sergey sharon sophia sophie steven susan svetlana tatiana taylor
teresa theresa thomas tiffany tyler vladimir whitney yvonne zachary 
chocolate chocolat cookie cookies candy cupcake cake sugar cherry strawberry strawberries blueberry banana bananas orange oranges apple
apples pineapple mango peach peaches lemon lime melon grape coconut tomato potato pickle cheese cheeseburger burger pizza pasta
spaghetti bacon sausage butter buttercup coffee tea milk water whiskey vodka tequila beer wine guinness heineken budweiser corona
cocacola pepsi mustard popcorn pancake muffin 
blue red green yellow purple pink black white gray grey brown silver gold golden diamond diamonds crystal ruby emerald sapphire pearl
bluebird redrum blackbird greenday redhead blackjack blackcat whitecat purplerain pinkfloyd goldfish silverado 
computer computers laptop desktop internet network server servers database oracle mysql postgres mongodb redis windows linux ubuntu debian
macintosh microsoft google facebook instagram twitter linkedin youtube yahoo hotmail gmail amazon ebay paypal netflix spotify
apple123 samsung nokia motorola iphone android sony playstation xbox nintendo cisco router wireless bluetooth wifi software hardware
program programmer developer hacker hackers hacking cyber matrix1 binary code coder coding python java javascript
lading cargo upload uploads download downloads storage file files backup cloud 
mustang ferrari porsche mercedesbenz corvette camaro chevy chevrolet toyota honda nissan yamaha kawasaki suzuki harley harleydavidson
ducati bmw audi volkswagen jaguar lamborghini maserati subaru lexus ford tesla truck trucks car cars motorcycle 
music musica musician guitar guitarist piano pianist drummer drums bass violin metal metallica slipknot nirvana beatles ironmaiden
acdc eminem tupac madonna rockstar rocknroll rock jazz blues hiphop dance dancer dancing party 
london paris berlin moscow madrid1 roma italy italia france germany deutschland england canada australia mexico brazil brasil russia
ukraine poland polska turkey istanbul india pakistan indonesia china japan tokyo newyork newyorkcity chicago dallas houston texas
california florida miami boston denver seattle vegas lasvegas hollywood brooklyn europe africa asia 
freedom liberty justice peace peaceful war warrior warriors soldier army navy marine marines airforce police fire fireman firefighter
fireball thunder lightning storm stormy hurricane tornado volcano earth planet galaxy universe cosmos ocean river mountain forest
flower flowers rose roses daisy lily violet tulip orchid garden tree 
happy happiness happyday smile smiley smiling funny fun laugh lol lmao haha hahaha hehe yeah yes okay cool awesome amazing wonderful perfect
fantastic excellent great good best better number1 numberone first one two three four five six seven eight nine ten hundred thousand
million money cash dollar dollars rich richie bank credit gold1 business office work worker company job boss 
family mother father mommy daddy mom dad mama papa mamamia brother sister sisters brothers son daughter grandma grandpa uncle aunt
friend friends friendship bestfriend bestfriends forever foreverlove always never together destiny dream dreams dreamer dreaming
student teacher school college university doctor nurse lawyer engineer scientist artist writer reader player gamer gaming games game
fuckyou fuckoff fuckme fucker fucking fuck asshole bitch bitches bastard bullshit shit shithead damn crap dick pussy sex
lucky7 jackpot casino poker joker1 ace aces maverick ranger hunter hunting fishing fisher fisherman sailor pirate pirates captain1
cowboy cowgirl outlaw rebel bandit1 gangster gangsta thug killer assassin sniper shooter bullet gun guns winchester remington
trouble crazy mad insane psycho loser stupid idiot dummy dumbass jerk retard lazy sleepy grumpy dopey bashful
drowssap nimda toor1 resu tset tobeornottobe maythe4th mayforce correcthorsebatterystaple correcthorse batterystaple hunter2
privet parol nikita natasha1 samsung1 lokomotiv spartak zenit dinamo moskva rossiya hallo schatz hallo123 geheim sommer fussball motdepasse
bonjour soleil azertyu doudou loulou chouchou coucou marseille contrasena contraseña tequiero teamo amor miamor corazon
estrella mariposa bonita hola holahola senha brasileiro saopaulo flamengo corinthians vasco ciao amore juve forzamilan napoli haslo
kochanie misiek polska1 wachtwoord welkom feyenoord losenord sommar salasana
`;

/** In lower case. */
export const COMMON_PASSWORDS: ReadonlySet<string> = new Set(WORDS.split(/\s+/).filter((word) => word !== ''));
